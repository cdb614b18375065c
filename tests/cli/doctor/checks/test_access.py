"""What a token may do, or why it is refused."""

from __future__ import annotations

from typing import Any

import pytest

from gapless.cli.doctor.checks.access import Seen, judge
from gapless.cli.doctor.finding import State
from gapless.cli.doctor.site import Reply

NOW = 1000.0
CLAIMS = {"exp": 1060, "gapless": {"publish": ["a", "b"], "subscribe": [], "admin": True}}


def told(read: int, write: int, claims: Any = CLAIMS, *, given: bool = True) -> tuple[State, str]:
    (finding,) = judge(Seen(Reply(read, "the detail"), Reply(write, "the detail"), claims, given, NOW))
    return finding.state, f"{finding.said} -> {finding.change}"


@pytest.mark.parametrize(
    ("read", "write", "claims", "words"),
    [
        (401, 401, CLAIMS, "It is refused: the detail -> Sign it with the service's own"),
        (401, 401, {"exp": 900}, "It has ended 100 s ago"),
        (401, 401, None, "It is refused: the detail"),
        (403, 201, CLAIMS, "may not read the doctor's channel: the detail -> Make one that may: gapless token"),
        (200, 403, CLAIMS, "may not publish to"),
        (503, 503, CLAIMS, "do not work: 503 the detail"),
        (200, 0, CLAIMS, "do not work: no answer the detail"),
    ],
)
def test_what_it_may_not_do_is_named(read: int, write: int, claims: Any, words: str) -> None:
    state, said = told(read, write, claims)
    assert state is State.FAIL and words in said


def test_what_it_may_is_told() -> None:
    assert told(200, 201) == (State.OK, "accepted; publish: a, b; subscribe: nothing; an administrator's -> ")


def test_none_is_needed_or_missing() -> None:
    assert told(200, 201, None, given=False)[0] is State.NOTE
    state, said = told(401, 401, None, given=False)
    assert state is State.FAIL and "none was given. -> Give one with --token: gapless token" in said
