"""A ticket reads what it names, at one service, until it ends; it is made and verified with a key of its own."""

from __future__ import annotations

import itertools

import pytest
from hypothesis import given
from hypothesis import strategies as st

from gapless.auth.grant import SKEW, Grant
from gapless.auth.tickets import TICKET_SECONDS, Tickets
from gapless.auth.tokens import Expected, verify_shared
from gapless.log.errors import Forbidden, Unauthorized
from tests.testkit.forge import OTHER_SECRET, SECRET, Secret, claims_of

NOW = 1_767_225_600.0
REALM = ("us", "https://issuer.example", "gapless")


def tickets(*secrets: str, realm: tuple[str | None, ...] = REALM) -> Tickets:
    return Tickets(secrets, realm)


OURS = tickets(SECRET)
BEARER = Grant("ann", ("*",), ("*",), admin=True, expires=NOW + 7200)


def test_a_ticket_reads_its_channels_and_does_nothing_else() -> None:
    ticket, ends = OURS.make(BEARER, ["a", "b"], NOW)
    assert ends == NOW + TICKET_SECONDS == NOW + 900
    assert OURS.verify(ticket, NOW) == Grant("ann", (), ("a", "b"), admin=False, expires=ends - SKEW)


def test_a_ticket_ends_to_the_second_and_so_do_its_streams() -> None:
    ticket, ends = OURS.make(BEARER, ["a"], NOW)
    assert OURS.verify(ticket, ends - 0.5).seconds_left(ends - 0.5) == 0.5
    for late in (ends, ends + 1):
        with pytest.raises(Unauthorized, match="ended"):
            OURS.verify(ticket, late)


def test_a_ticket_does_not_outlive_its_token() -> None:
    _, ends = OURS.make(Grant("ann", subscribe=("*",), expires=NOW + 60), ["a"], NOW)
    assert ends == NOW + 60
    for over in (NOW, NOW - SKEW / 2):
        with pytest.raises(Unauthorized, match="expired"):
            OURS.make(Grant("ann", subscribe=("*",), expires=over), ["a"], NOW)


def test_nobody_makes_a_ticket_for_what_he_may_not_read() -> None:
    with pytest.raises(Forbidden):
        OURS.make(Grant("ann", ("*",), ("a",), expires=NOW + 60), ["a", "b"], NOW)


def test_a_ticket_with_a_star_is_no_pattern() -> None:
    """Channels have no star in their names; a ticket that had one would read more than it names."""
    ticket, _ = OURS.make(BEARER, ["a"], NOW)
    with pytest.raises(Forbidden):
        OURS.verify(ticket, NOW).must_subscribe(["ab"])


def test_a_ticket_is_no_token_and_a_token_no_ticket() -> None:
    ticket, _ = OURS.make(BEARER, ["a"], NOW)
    with pytest.raises(Unauthorized):
        verify_shared(ticket, SECRET, Expected(), NOW)
    likeness = claims_of(NOW, typ="ticket", channels=["a"])
    for token in (
        Secret().sign(claims_of(NOW)),
        Secret().sign(likeness),
        tickets(OTHER_SECRET).make(BEARER, ["a"], NOW)[0],
    ):
        with pytest.raises(Unauthorized):
            OURS.verify(token, NOW)


@given(st.integers(0), st.integers(0, 5))
def test_a_ticket_changed_by_a_bit_is_none(where: int, bit: int) -> None:
    ticket, _ = OURS.make(BEARER, ["a"], NOW)
    where %= len(ticket)
    changed = ticket[:where] + chr(ord(ticket[where]) ^ 1 << bit) + ticket[where + 1 :]
    with pytest.raises(Unauthorized):
        OURS.verify(changed, NOW)


# --- one secret, several services

REALMS: list[tuple[str | None, ...]] = [
    REALM,
    ("them", *REALM[1:]),
    (None, *REALM[1:]),
    ("us", None, "gapless"),
    ("us", "https://other.example", "gapless"),
    (*REALM[:2], "staging"),
    ("None", None, "gapless"),
    (None, None, "gapless"),
    ('us", "https://issuer.example', None, "gapless"),
    ("us, https://issuer.example", "", "gapless"),
    ("https://issuer.example", "us", "gapless"),
]


@pytest.mark.parametrize(("here", "there"), list(itertools.permutations(REALMS, 2)))
def test_a_ticket_of_another_service_with_our_secret_is_none(
    here: tuple[str | None, ...], there: tuple[str | None, ...]
) -> None:
    ticket, _ = tickets(SECRET, realm=there).make(BEARER, ["a"], NOW)
    with pytest.raises(Unauthorized, match="no ticket of this service"):
        tickets(SECRET, realm=here).verify(ticket, NOW)


# --- a change of secrets


def test_tickets_of_both_secrets_are_honoured_and_new_ones_are_of_the_first() -> None:
    both, new, old = tickets(OTHER_SECRET, SECRET), tickets(OTHER_SECRET), tickets(SECRET)
    earlier, _ = old.make(BEARER, ["a"], NOW)
    assert both.verify(earlier, NOW).subscribe == ("a",)
    later, ends = both.make(BEARER, ["a"], NOW)
    assert both.verify(later, NOW) == new.verify(later, NOW)
    with pytest.raises(Unauthorized):
        old.verify(later, NOW)
    with pytest.raises(Unauthorized, match="ended"):
        both.verify(earlier, ends)
