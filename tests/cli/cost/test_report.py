"""`gapless cost` as it is typed."""

from __future__ import annotations

import json

import pytest

from gapless.cli import main


def test_a_bill_for_people(capsys: pytest.CaptureFixture[str]) -> None:
    asked = ["cost", "--users", "500", "--hours", "24", "--platform", "lambda", "--store", "upstash"]
    assert main(asked) == 0
    said = capsys.readouterr().out
    assert "500 users, 24 hours a day" in said and "a month" in said and "Most would save: " in said
    assert "500 clients who wait hold 500 environments" in said and "Prices of 20" in said


def test_a_document_for_programs(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["cost", "--json", "--machine", "12.5"]) == 0
    told = json.loads(capsys.readouterr().out)
    assert (told["dollars"], told["warning"], told["shape"]["platform"]) == (12.5, None, "server")
    assert told["day"]["commands"]["publish"] == 70_000 and told["prices"]["read"]


def test_beside_others(capsys: pytest.CaptureFixture[str]) -> None:
    asked = ["cost", "--users", "500", "--hours", "24", "--platform", "vercel", "--store", "upstash", "--beside"]
    assert main(asked) == 0
    said = capsys.readouterr().out
    for name in ("Ably (per minute)", "Pusher Channels", "AppSync Events", "@upstash/realtime"):
        assert f"beside {name}" in said
    assert main([*asked, "--json"]) == 0
    told = {one["name"]: one["dollars"] for one in json.loads(capsys.readouterr().out)["beside"]}
    assert told["Pusher Channels"] == 299


def test_more_than_any_plan_holds_is_on_request(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["cost", "--users", "50000", "--beside"]) == 0
    assert "on request" in capsys.readouterr().out


@pytest.mark.parametrize("wrong", [["--users", "0"], ["--hours", "25"], ["--platform", "moon"], ["--memory", "0"]])
def test_wrong_shapes_are_refused(wrong: list[str], capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["cost", *wrong]) == 2
    assert capsys.readouterr().err
