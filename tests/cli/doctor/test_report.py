"""`gapless doctor` as it is typed: a report for people, a document for programs, and an exit code for both."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING

import pytest

from tests.cli.command import run
from tests.testkit.doctor import token

if TYPE_CHECKING:
    from tests.testkit.service import Service

pytestmark = pytest.mark.real(seconds=5)


def test_a_good_one_is_said_to_be_and_it_is_0(keyed: Service) -> None:
    done = run("doctor", keyed.url, "--seconds", "1", GAPLESS_TOKEN=token())
    first, *lines, last = done.stdout.splitlines()
    assert (done.returncode, done.stderr, last) == (0, "", "All good.")
    assert first.startswith(keyed.url)
    assert [line.split()[0] for line in lines if not line.startswith("  ok ")] == ["skip", "note"], (
        "CORS and heartbeats"
    )
    assert "\x1b" not in done.stdout


def test_a_wrong_one_is_1_and_each_failing_line_says_what_to_change(keyed: Service) -> None:
    done = run("doctor", "--seconds", "1", GAPLESS_URL=keyed.url)
    lines = done.stdout.splitlines()
    at = next(number for number, line in enumerate(lines) if line.startswith("  fail access"))
    assert lines[at + 1].strip().startswith("-> Give one with --token: gapless token")
    assert done.returncode == 1 and lines[-1].endswith("checks fail: access.")


def test_for_programs_it_is_one_document(keyed: Service) -> None:
    done = run("doctor", keyed.url, "--seconds", "1", "--json")
    told = json.loads(done.stdout)
    assert (done.returncode, told["good"], told["url"]) == (1, False, keyed.url)
    (wrong,) = [one for one in told["checks"] if one["state"] == "fail"]
    assert wrong["check"] == "access" and wrong["said"] and wrong["change"]
    assert told["seconds"] < 60
