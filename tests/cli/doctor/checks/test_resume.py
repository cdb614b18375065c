"""Whatever is lost, doubled, out of order, refused or repeated is counted."""

from __future__ import annotations

from typing import Any

import pytest

from gapless.cli.doctor.checks.resume import MESSAGES, Seen, judge
from gapless.cli.doctor.finding import Finding, State
from gapless.cli.doctor.site import Reply

ALL = range(1, MESSAGES + 1)
TAKEN = Reply(201, "", body={"timestamp": "2026-11-26T12:00:00.000Z"})


def seen(heard: list[int] | None = None, **more: Any) -> Seen:
    """All were posted; these came, once each unless a number stands there twice."""
    numbers = [*ALL] if heard is None else heard
    return Seen(dict.fromkeys(ALL, TAKEN), [(n, f"e-{n}-m") for n in numbers], [0.001] * 50, streams=5, **more)


def told(what: Seen) -> dict[str, Finding]:
    return {one.check: one for one in judge(what)}


def test_all_once_and_in_order_is_good() -> None:
    found = told(seen())
    assert {one.state for one in found.values()} == {State.OK}
    assert found["resume"].figures == {"posted": 50, "lost": 0, "doubled": 0, "streams": 5}
    assert found["delivery"].figures == {"p50Ms": 1, "p99Ms": 1}


@pytest.mark.parametrize(
    ("heard", "words"),
    [
        ([*range(1, 50)], "1 did not come in time, 0 came twice"),
        ([*ALL, 7], "0 did not come in time, 1 came twice"),
        ([2, 1, *range(3, 51)], "the order was wrong"),
        ([], "50 did not come in time"),
    ],
)
def test_what_is_lost_doubled_or_out_of_order_fails(heard: list[int], words: str) -> None:
    finding = told(seen(heard))["resume"]
    assert finding.state is State.FAIL and words in finding.said and "Last-Event-ID" in finding.change


def test_gaps_and_refused_posts_fail() -> None:
    what = seen()
    what.gaps.append({"reason": "reset"})
    assert "1 gaps" in told(what)["resume"].said
    what.posts[3] = Reply(502, "bad gateway")
    assert "1 of 50 posts failed: 502 bad gateway" in told(what)["resume"].said


def test_a_post_that_was_known_or_is_there_twice_was_repeated() -> None:
    what = seen()
    what.posts[2] = Reply(200, "", body={"duplicate": True})
    what.heard.append((6, "e-51-m"))
    found = told(what)
    assert found["retries"].figures == {"repeated": 2} and found["retries"].state is State.FAIL
    assert "2 of 50; 1 are there twice" in found["retries"].said
    assert found["resume"].state is State.OK, "that is nothing which the stream doubled"


def test_delivery_is_not_measured_where_nothing_came_live() -> None:
    what = seen()
    what.took.clear()
    assert told(what)["delivery"].state is State.NOTE
