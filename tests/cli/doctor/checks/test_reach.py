"""Whoever answers is told apart from a Gapless service."""

from __future__ import annotations

import pytest

from gapless.cli.doctor.checks.reach import Seen, judge
from gapless.cli.doctor.finding import State
from gapless.cli.doctor.site import Reply

DESCRIBED = Reply(200, "", body={"info": {"version": "1.2.3"}})


@pytest.mark.parametrize(
    ("health", "change"),
    [
        (Reply(0, "Connection refused"), "that the service runs"),
        (Reply(403, "This service has no keys"), "GAPLESS_PUBLIC=true"),
        (Reply(401, "<html>"), "Deployment Protection"),
        (Reply(200, "<html>"), "the address of the service"),
        (Reply(200, "", body={"status": "fine"}), "the address of the service"),
        (Reply(404, "", body=["status"]), "the address of the service"),
    ],
)
def test_who_is_no_service_fails(health: Reply, change: str) -> None:
    (finding,) = judge(Seen(health, DESCRIBED))
    assert finding.state is State.FAIL and change in finding.change


def test_a_service_has_a_version() -> None:
    health = Reply(200, "", 0.004, {"status": "ok"}, version="HTTP/1.1")
    (finding,) = judge(Seen(health, DESCRIBED))
    assert (finding.state, finding.said) == (State.OK, "Gapless 1.2.3, by HTTP/1.1, in 4 ms")
    (unsaid,) = judge(Seen(health, Reply(404, "")))
    assert unsaid.state is State.OK and "does not tell" in unsaid.said
