"""An origin must be allowed once, for reading and for writing."""

from __future__ import annotations

import re

import pytest

from gapless.cli.doctor.checks.cors import ALLOWED, Seen, judge
from gapless.cli.doctor.finding import State
from gapless.cli.doctor.site import Reply

ORIGIN = "https://app.example.com"


def told(preflight: str | None, read: str | None) -> tuple[State, str]:
    replies = [Reply(200, "", headers={ALLOWED: origin} if origin else {}) for origin in (preflight, read)]
    (finding,) = judge(Seen(ORIGIN, *replies))
    return finding.state, finding.said + finding.change


@pytest.mark.parametrize(
    ("preflight", "read", "words"),
    [
        (None, ORIGIN, f"may not write: .*GAPLESS_ORIGINS={ORIGIN}"),
        (ORIGIN, None, "may not read: "),
        (ORIGIN, f"{ORIGIN}, *", "twice .*those of the front"),
        ("https://a.example", ORIGIN, "allows https://a.example alone"),
    ],
)
def test_what_browsers_refuse_fails(preflight: str | None, read: str | None, words: str) -> None:
    state, said = told(preflight, read)
    assert state is State.FAIL and re.search(words, said)


@pytest.mark.parametrize("allowed", [ORIGIN, "*"])
def test_what_they_accept_is_good(allowed: str) -> None:
    assert told(allowed, allowed)[0] is State.OK


def test_without_an_origin_it_is_not_tried() -> None:
    assert judge(Seen(None, Reply(0, ""), Reply(0, "")))[0].state is State.SKIP
