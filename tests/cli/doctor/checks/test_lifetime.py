"""How long a stream lived, why it ended, and whether its heartbeats came."""

from __future__ import annotations

from typing import Any

import pytest

from gapless.cli.doctor.checks.lifetime import Seen, judge, judge_turn
from gapless.cli.doctor.finding import State

GOOD: dict[str, Any] = {"hello": {"heartbeat": 15, "lifetime": 200}, "status": 200, "lived": 40.0, "comments": 2}


def told(**seen: Any) -> dict[str, tuple[State, str]]:
    found = judge(Seen(40.0, **{**GOOD, **seen}))
    return {one.check: (one.state, f"{one.said} -> {one.change}") for one in found}


def test_one_that_outlives_the_watch_or_ends_as_planned_is_good() -> None:
    for ended in ("", "deadline"):
        found = told(ended=ended)
        assert {name: state for name, (state, _) in found.items()} == {"lifetime": State.OK, "heartbeat": State.OK}
    assert "all of the 40 s that it was watched; it promises 200 s" in told()["lifetime"][1]


def test_one_that_is_cut_names_the_fronts_limit_and_the_heartbeat() -> None:
    state, said = told(cut="it was closed", lived=10.0, silent=10.0)["lifetime"]
    assert state is State.FAIL
    assert (
        "after 10.0 s, of which 10.0 s were silent" in said
        and "GAPLESS_HEARTBEAT (15 s; nginx: proxy_read_timeout" in said
    )
    assert told(status=504)["lifetime"][0] is State.FAIL


@pytest.mark.parametrize("reason", ["slow", "unavailable", "shutdown", "auth"])
def test_one_that_the_service_ends_is_told_with_the_reason(reason: str) -> None:
    state, said = told(ended=reason, lived=3.0)["lifetime"]
    assert state is State.FAIL and reason in said


@pytest.mark.parametrize(("silent", "state"), [(14.0, State.NOTE), (40.0, State.FAIL)])
def test_heartbeats_that_do_not_come_fail_when_they_are_due(silent: float, state: State) -> None:
    assert told(comments=0, silent=silent)["heartbeat"][0] is state


def test_a_silent_stream_says_nothing_of_lifetimes() -> None:
    assert {name: state for name, (state, _) in told(hello=None).items()} == {"lifetime": State.SKIP}


@pytest.mark.parametrize(
    ("seen", "state"),
    [
        ({"ended": "deadline"}, State.OK),
        ({}, State.NOTE),
        ({"status": 0}, State.NOTE),
        ({"cut": "it was closed"}, State.FAIL),
        ({"status": 504}, State.FAIL),
    ],
)
def test_a_turn_that_waits_must_not_be_cut(seen: dict[str, Any], state: State) -> None:
    (finding,) = judge_turn(Seen(30.0, **{**GOOD, **seen}))
    assert finding.state is state
    assert bool(finding.change) is (state is State.FAIL)
