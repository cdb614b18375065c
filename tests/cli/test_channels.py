"""`gapless channels`: every page of the list, each channel once, for administrators."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING

import pytest

from tests.cli.command import run
from tests.testkit.forge import SECRET

if TYPE_CHECKING:
    from tests.testkit.service import Service

pytestmark = pytest.mark.real(seconds=5)


def token(*rights: str) -> str:
    return run("token", "--user", "ann", *rights, GAPLESS_JWT_SECRET=SECRET).stdout.strip()


def test_every_channel_is_listed_once_for_administrators(keyed: Service) -> None:
    ours = {"GAPLESS_URL": keyed.url, "GAPLESS_TOKEN": token("--admin", "--publish", "*")}
    for channel in ("listed.a", "listed.b"):
        assert run("publish", channel, "hi", **ours).returncode == 0
    told = [json.loads(line) for line in run("channels", "--json", **ours).stdout.splitlines()]
    assert sorted(one["channel"] for one in told if one["channel"].startswith("listed.")) == ["listed.a", "listed.b"]
    plain = [line.split()[:2] for line in run("channels", **ours).stdout.splitlines()]
    assert [line for line in sorted(plain) if "listed" in line[0]] == [["listed.a", "1"], ["listed.b", "1"]]
    refused = run("channels", **{**ours, "GAPLESS_TOKEN": token("--publish", "*")})
    assert refused.returncode == 1 and "answered 403" in refused.stderr and "gapless.admin" in refused.stderr


def test_nobody_there_is_said_in_a_sentence() -> None:
    done = run("channels", "--url", "http://127.0.0.1:9")
    assert (
        done.returncode == 1 and done.stderr.startswith("gapless: http://127.0.0.1:9") and done.stderr.count("\n") == 1
    )
