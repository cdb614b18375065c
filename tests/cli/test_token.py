"""`gapless token`: what it prints is a token that the service would take, and nothing else is printed."""

from __future__ import annotations

import time

import pytest

from gapless.auth.grant import Grant
from gapless.auth.tokens import Expected, verify_shared
from gapless.cli import main

SECRET = "a secret of the tests, long enough"


@pytest.fixture(autouse=True)
def _secret(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("GAPLESS_JWT_SECRET", SECRET)


def made(capsys: pytest.CaptureFixture[str], *arguments: str, expected: Expected | None = None) -> Grant:
    """The grant of the token that these arguments make."""
    assert main(["token", "--user", "ann", *arguments]) == 0
    out, err = capsys.readouterr()
    assert err == ""
    assert out.count("\n") == 1
    return verify_shared(out.strip(), SECRET, expected or Expected(), time.time())


def test_it_allows_what_was_asked_for_and_no_more(capsys: pytest.CaptureFixture[str]) -> None:
    grant = made(capsys, "--publish", "general", "--subscribe", "*")
    assert (grant.user, grant.publish, grant.subscribe, grant.admin) == ("ann", ("general",), ("*",), False)
    nothing = made(capsys)
    assert (nothing.publish, nothing.subscribe, nothing.admin) == ((), (), False)
    assert made(capsys, "--admin").admin


def test_rights_are_listed_with_commas_or_one_by_one(capsys: pytest.CaptureFixture[str]) -> None:
    grant = made(capsys, "--publish", "a, b.*", "--publish", "c", "--subscribe", ",")
    assert (grant.publish, grant.subscribe) == (("a", "b.*", "c"), ())


def test_it_ends_when_it_was_said(capsys: pytest.CaptureFixture[str]) -> None:
    for arguments, minutes in (([], 60), (["--minutes", "5"], 5)):
        left = (made(capsys, *arguments).expires or 0) - time.time()
        assert 60 * minutes - 5 < left <= 60 * minutes


def test_it_is_for_the_audience_and_of_the_issuer_that_are_set(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("GAPLESS_JWT_AUDIENCE", "us")
    monkeypatch.setenv("GAPLESS_JWT_ISSUER", "https://us")
    assert made(capsys, expected=Expected("us", "https://us")).user == "ann"


@pytest.mark.parametrize("pattern", ["a b", "*a", "a*b", "a**", "-", "x" * 65, "ä", "a\nb"])
def test_a_pattern_that_covers_nothing_is_refused(capsys: pytest.CaptureFixture[str], pattern: str) -> None:
    assert main(["token", "--user", "ann", "--publish", pattern]) == 2
    out, err = capsys.readouterr()
    assert out == ""
    assert SECRET not in err


@pytest.mark.parametrize("arguments", [["--minutes", "0"], ["--minutes", "x"], ["--user", ""], ["--user", "a\nb"]])
def test_wrong_arguments_are_refused(capsys: pytest.CaptureFixture[str], arguments: list[str]) -> None:
    assert main(["token", "--user", "ann", *arguments]) == 2
    assert capsys.readouterr().out == ""


def test_without_a_secret_it_says_what_to_set(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.delenv("GAPLESS_JWT_SECRET")
    assert main(["token", "--user", "ann"]) == 2
    out, err = capsys.readouterr()
    assert out == ""
    assert "export GAPLESS_JWT_SECRET=" in err


def test_a_secret_that_is_too_short_is_not_shown(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("GAPLESS_JWT_SECRET", "hunter2")
    assert main(["token", "--user", "ann"]) == 2
    err = capsys.readouterr().err
    assert "GAPLESS_JWT_SECRET" in err
    assert "hunter2" not in err


def test_one_that_the_service_would_refuse_is_not_made(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    assert main(["token", "--user", "ann", "--minutes", str(31 * 24 * 60 + 1)]) == 2
    assert "GAPLESS_TOKEN_MAX" in capsys.readouterr().err
    monkeypatch.setenv("GAPLESS_TOKEN_MAX", "600")
    assert main(["token", "--user", "ann", "--minutes", "11"]) == 2
    assert "a token may last 10 (GAPLESS_TOKEN_MAX is 600 seconds)" in capsys.readouterr().err
    assert made(capsys, "--minutes", "10").user == "ann"
