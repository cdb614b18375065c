"""Who counts as whom: nobody is two by saying so, and no two are one by accident."""

from __future__ import annotations

import ipaddress

import pytest
from hypothesis import given
from hypothesis import strategies as st

from app import limits
from app.limits import OpenRate, network_of, subject_of

# --- addresses


@pytest.mark.parametrize(
    ("address", "network"),
    [
        ("203.0.113.7", "203.0.113.7"),
        ("203.0.113.7:4711", "203.0.113.7"),
        ("::ffff:203.0.113.7", "203.0.113.7"),
        ("2001:db8:1:2:3:4:5:6", "2001:db8:1:2::/64"),
        ("2001:db8:1:2::", "2001:db8:1:2::/64"),
        ("2001:DB8:1:2:ffff:ffff:ffff:ffff", "2001:db8:1:2::/64"),
        ("2001:db8:1:3::", "2001:db8:1:3::/64"),
        ("[2001:db8:1:2::7]:4711", "2001:db8:1:2::/64"),
        ("[2001:db8:1:2::7]", "2001:db8:1:2::/64"),
        ("fe80::1%eth0", "fe80::/64"),
        ("::1", "::/64"),
        (None, "unknown"),
        ("", "unknown"),
        ("unix:", "unknown"),
        ("localhost", "unknown"),
        ("203.0.113.7, 198.51.100.1", "unknown"),
        ("203.0.113.007", "unknown"),
    ],
)
def test_an_address_counts_as_its_network(address: str | None, network: str) -> None:
    assert network_of(address) == network


@given(st.ip_addresses(v=6), st.integers(0, 2**64 - 1))
def test_who_has_one_address_of_a_network_has_them_all(address: ipaddress.IPv6Address, other: int) -> None:
    if address.ipv4_mapped is not None:
        return
    neighbour = ipaddress.IPv6Address(int(address) >> 64 << 64 | other)
    if neighbour.ipv4_mapped is None:
        assert network_of(str(neighbour)) == network_of(str(address))
    assert network_of(str(ipaddress.IPv6Address(int(address) ^ 1 << 64))) != network_of(str(address))


@given(st.text())
def test_any_text_counts_as_something(text: str) -> None:
    assert network_of(text)


# --- subjects


def test_a_subject_counts_as_itself_wherever_it_is() -> None:
    assert subject_of("ann", "203.0.113.7") == subject_of("ann", "198.51.100.1") == subject_of("ann", None)
    assert subject_of("ann", None) != subject_of("bob", None)


def test_without_a_token_the_network_counts() -> None:
    assert subject_of(None, "203.0.113.7") == subject_of(None, "::ffff:203.0.113.7")
    assert subject_of(None, "203.0.113.7") != subject_of(None, "203.0.113.8")


def test_nobody_takes_an_address_for_a_name() -> None:
    assert subject_of("203.0.113.7", None) != subject_of(None, "203.0.113.7")
    assert subject_of("address 203.0.113.7", None) != subject_of(None, "203.0.113.7")


@given(st.text(st.characters(codec="utf-8"), min_size=1, max_size=128))
def test_a_subject_fits_into_the_name_of_a_key(user: str) -> None:
    named = subject_of(user, None)
    assert len(named) == 16
    assert named.isalnum()
    assert named.isascii()


# --- streams opened


def opened(rate: OpenRate, times: int, now: float, address: str = "a") -> int:
    return sum(rate.allows(address, now) for _ in range(times))


def test_a_minutes_worth_at_once_and_then_one_by_one() -> None:
    rate = OpenRate(60)
    assert opened(rate, 200, 0) == 60
    assert opened(rate, 5, 0.99) == 0
    assert opened(rate, 5, 1.0) == 1
    assert opened(rate, 200, 61.0) == 60
    assert opened(rate, 200, 1_000.0) == 60, "more than a minute's worth is never saved up"


@given(st.lists(st.floats(0, 300), min_size=1, max_size=200).map(sorted), st.integers(1, 120))
def test_nobody_opens_more_than_the_rate_and_one_burst(moments: list[float], per_minute: int) -> None:
    rate = OpenRate(per_minute)
    allowed = [now for now in moments if rate.allows("a", now)]
    for index, first in enumerate(allowed):
        for count, last in enumerate(allowed[index:], 1):
            assert count <= per_minute * (1 + (last - first) / 60) + 1e-6


def test_addresses_are_counted_apart_and_refusals_not_at_all() -> None:
    rate = OpenRate(10)
    assert opened(rate, 1000, 0) == 10
    assert opened(rate, 10, 0, "b") == 10
    assert opened(rate, 10, 60.0) == 10


def test_no_rate_is_no_limit() -> None:
    assert opened(OpenRate(0), 10_000, 0) == 10_000


def test_what_is_remembered_is_bounded(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(limits, "MOST_SUBJECTS", 100)
    rate = OpenRate(1)
    assert opened(rate, 2, 0) == 1
    for number in range(1_000):
        rate.allows(f"stranger {number}", 0)
        assert not rate.allows("a", 0), "who comes back is not forgotten"
    assert len(rate._full_at) == 100


def test_a_clock_that_is_set_back_locks_nobody_out_for_long() -> None:
    rate = OpenRate(60)
    assert opened(rate, 60, 1_000_000.0) == 60
    assert opened(rate, 60, 0.0) == 0
    assert opened(rate, 60, 1.0) == 1
