"""What readiness says of the store becomes what to do."""

from __future__ import annotations

from typing import Any

import pytest

from gapless.cli.doctor.checks.store import judge
from gapless.cli.doctor.finding import State
from gapless.cli.doctor.site import Reply


@pytest.mark.parametrize(
    ("said", "change"),
    [
        ("Redis can't be reached: refused.", "Start Redis"),
        ("REDIS_URL leads to a read-only replica; it must lead to the primary.", "primary, not to a replica"),
        ("REDIS_URL leads to a Sentinel; it must lead to the primary itself.", "primary itself"),
        ("Redis is full (maxmemory) and evicts nothing", "more memory"),
        ("Redis refuses: its user may not run EVAL; …", "docs/security.md"),
        ("Nothing can be published or heard now; the service's log says why.", "token of an administrator"),
    ],
)
def test_what_is_wrong_is_named(said: str, change: str) -> None:
    (finding,) = judge(Reply(503, said))
    assert finding.state is State.FAIL and finding.said == said and change in finding.change


def ready(**told: Any) -> list[tuple[str, State, str]]:
    found = judge(Reply(200, "", body={"status": "ok", "latencyMs": 1.5, **told}))
    return [(one.check, one.state, one.said) for one in found]


def test_a_good_one_may_do_all_that_is_needed() -> None:
    ((_, state, said),) = ready(store="Redis at host:6379", notices="subscribe")
    assert state is State.OK and "may publish, subscribe and run scripts" in said


def test_what_works_less_well_is_a_note() -> None:
    lacks = ready(store="Redis", missing="SCAN (GET /channels), HSET (receipts)")[0]
    assert lacks[1] is State.NOTE and "may not run SCAN (GET /channels), HSET (receipts); docs/security.md" in lacks[2]
    polled = ready(store="Upstash", notices="poll")[0]
    assert polled[1] is State.NOTE and "no signals" in polled[2]
    (hidden,) = ready()
    assert hidden[1] is State.NOTE and "administrators only" in hidden[2]
