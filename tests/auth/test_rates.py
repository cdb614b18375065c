"""Who counts as whom: nobody is two by saying so, and no two are one by accident."""

from __future__ import annotations

import ipaddress
import random

import pytest
from hypothesis import given
from hypothesis import strategies as st

from gapless.auth import rates as limits
from gapless.auth.rates import Buckets, CommandBudget, OpenRate, Shares, Who, network_of, subject_of

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
    return sum(not rate.wait(address, now) for _ in range(times))


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
    allowed = [now for now in moments if not rate.wait("a", now)]
    for index, first in enumerate(allowed):
        for count, last in enumerate(allowed[index:], 1):
            assert count <= per_minute * (1 + (last - first) / 60) + 1e-6


@pytest.mark.parametrize("per_minute", [1, 7, 600])
def test_whoever_waits_as_long_as_he_is_told_gets_in(per_minute: int) -> None:
    rate, now = OpenRate(per_minute), 0.0
    opened(rate, per_minute, now)
    for _ in range(20):
        wait = rate.wait("a", now)
        assert 0 < wait <= 60 / per_minute + 1e-6
        assert rate.wait("a", now + wait * 0.99)
        now += wait + 1e-6
        assert rate.wait("a", now) == 0


def test_addresses_are_counted_apart_and_refusals_not_at_all() -> None:
    rate = OpenRate(10)
    assert opened(rate, 1000, 0) == 10
    assert opened(rate, 10, 0, "b") == 10
    assert opened(rate, 10, 60.0) == 10


def test_no_rate_is_no_limit() -> None:
    assert opened(OpenRate(0), 10_000, 0) == 10_000


def test_what_is_remembered_is_bounded(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(limits, "MOST_SUBJECTS", 100)
    buckets = Buckets(1)
    assert [buckets.take("a", 1, 0) for _ in range(2)] == [0, 60]
    for number in range(1_000):
        buckets.take(f"stranger {number}", 1, 0)
        assert buckets.take("a", 1, 0), "who comes back is not forgotten"
    remembered = [bool(buckets.wait(f"stranger {number}", 1, 0)) for number in range(1_000)]
    assert remembered == [False] * 901 + [True] * 99


def test_a_clock_that_is_set_back_locks_nobody_out_for_long() -> None:
    rate = OpenRate(60)
    assert opened(rate, 60, 1_000_000.0) == 60
    assert opened(rate, 60, 0.0) == 0
    assert opened(rate, 60, 1.0) == 1


# --- what reading costs

ANN, BOB, NOBODY = Who("ann", "192.0.2.1"), Who("bob", "192.0.2.1"), Who(None, "192.0.2.1")


def asked(budget: CommandBudget, who: Who, times: int, now: float, each: float = 0) -> int:
    """How many requests of `times` are let in, each of which then costs so much more than itself."""
    allowed = 0
    for _ in range(times):
        if not budget.wait(who, now):
            allowed += 1
            budget.spend(who, each, now)
    return allowed


def test_a_request_and_what_it_reads_count() -> None:
    assert asked(CommandBudget(10), ANN, 2000, 0) == 600
    assert asked(CommandBudget(10), ANN, 2000, 0, each=5) == 100


def test_what_is_owed_is_waited_for() -> None:
    """However much a request turns out to cost, over time nobody has more than his rate."""
    budget = CommandBudget(10)
    budget.wait(ANN, 0)
    budget.spend(ANN, 6000, 0)
    assert budget.wait(ANN, 0) == pytest.approx(540.2)
    assert budget.wait(ANN, 540.1) > 0
    assert budget.wait(ANN, 540.3) == 0


def test_in_the_long_run_nobody_costs_more_than_the_rate() -> None:
    dice, budget, spent, now = random.Random(7), CommandBudget(10), 0.0, 0.0
    while now < 600:
        now += dice.random() / 20
        if not budget.wait(ANN, now):
            more = dice.choice([0, 1, 8, 25])
            budget.spend(ANN, more, now)
            spent += 1 + more
        assert spent <= 10 * (60 + now) + 26


def test_subjects_are_counted_apart_and_their_network_with_them() -> None:
    budget = CommandBudget(10)
    assert asked(budget, ANN, 2000, 0) == 600
    assert asked(budget, BOB, 2000, 0) == 600, "another subject of the same address"
    assert asked(budget, NOBODY, 5000, 0) == 4 * 600 - 1200, "the address has four subjects' worth"
    assert asked(budget, Who("cid", "192.0.2.1"), 10, 0) == 0
    assert asked(budget, Who("cid", "192.0.2.2"), 2000, 0) == 600


def test_a_refused_request_costs_nothing() -> None:
    budget = CommandBudget(10)
    assert asked(budget, ANN, 10_000, 0) == 600
    assert asked(budget, BOB, 2000, 0) == 600
    assert asked(budget, ANN, 2000, 1) == 10


def test_no_budget_is_no_limit() -> None:
    assert asked(CommandBudget(0), ANN, 10_000, 0, each=100) == 10_000


# --- shares


def test_places_and_channels_are_bounded_each() -> None:
    shares = Shares(places=20, channels=4)
    assert shares.fit("ann", "abcd")
    assert not shares.fit("ann", "abcde"), "too many channels"
    for _ in range(5):
        shares.take("ann", "abcd")
    assert not shares.fit("ann", "a"), "too many places"
    assert shares.fit("bob", "abcd")
    shares.give("ann", "abcd")
    assert shares.fit("ann", "bcda")
    assert not shares.fit("ann", "e")


@given(
    st.lists(
        st.tuples(st.sampled_from("xyz"), st.sets(st.sampled_from("abcdefgh"), min_size=1), st.booleans()), max_size=60
    )
)
def test_what_is_held_is_what_was_taken_and_not_given_back(steps: list[tuple[str, set[str], bool]]) -> None:
    shares, held = Shares(places=12, channels=5), dict[str, list[list[str]]]()
    for name, some, gives in steps:
        mine, channels = held.setdefault(name, []), sorted(some)
        if gives and mine:
            shares.give(name, mine.pop())
            continue
        places = sum(map(len, mine)) + len(channels)
        different = {channel for reader in mine for channel in reader} | some
        assert shares.fit(name, channels) == (places <= 12 and len(different) <= 5)
        if shares.fit(name, channels):
            shares.take(name, channels)
            mine.append(channels)
    for name, mine in held.items():
        for channels in mine:
            shares.give(name, channels)
    assert shares._held == {}, "memory, of which nothing else tells"
