"""Clocks are compared by the reply that tells best, and as far as is sure."""

from __future__ import annotations

import pytest

from gapless.cli.doctor.checks.clock import judge
from gapless.cli.doctor.finding import State
from gapless.cli.doctor.site import Reply

NOON = 1_795_694_400.0  # 2026-11-26T12:00:00Z
STAMPED = {"timestamp": "2026-11-26T12:00:00.000Z"}
DATED = {"date": "Thu, 26 Nov 2026 12:00:00 GMT"}


def reply(behind: float, took: float = 0.0, body: object = None, **headers: str) -> Reply:
    """One that came when our clock was so much behind noon."""
    return Reply(201, "", took, body, headers, at=NOON - behind)


@pytest.mark.parametrize(
    ("behind", "took", "state"),
    [
        (0, 0, State.OK),
        (3, 0, State.NOTE),
        (3, 4, State.OK),
        (31, 0, State.FAIL),
        (-31, 0, State.FAIL),
        (31, 4, State.NOTE),
    ],
)
def test_beyond_thirty_seconds_it_fails_where_that_is_sure(behind: float, took: float, state: State) -> None:
    (finding,) = judge([reply(behind, took, STAMPED)])
    assert finding.state is state
    assert finding.figures == {"aheadSeconds": float(behind)}


def test_the_best_reply_counts() -> None:
    (finding,) = judge([reply(40, 60, STAMPED), reply(1, 0.1, STAMPED), reply(99, 0, None, **DATED)])
    assert finding.figures == {"aheadSeconds": 1.0}


def test_without_a_post_the_date_counts() -> None:
    (finding,) = judge([reply(60, 0, None, **DATED)])
    assert finding.state is State.FAIL
    (nothing,) = judge([Reply(0, "no answer"), reply(0, 0, None, date="today"), reply(0, 0, {"timestamp": "now"})])
    assert nothing.state is State.NOTE
