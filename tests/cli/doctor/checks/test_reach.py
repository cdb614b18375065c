"""Whoever answers is told apart from a Gapless service."""

from __future__ import annotations

import asyncio
import ssl
import time
from typing import TYPE_CHECKING

import httpx
import pytest
import trustme

from gapless.cli.doctor.checks.reach import Seen, judge, probe
from gapless.cli.doctor.finding import State
from gapless.cli.doctor.site import Reply, Site
from tests.testkit.listener import Listener

if TYPE_CHECKING:
    from pathlib import Path

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
    (finding,) = judge(Seen(health, DESCRIBED, False))
    assert finding.state is State.FAIL and change in finding.change


def test_a_service_has_a_version() -> None:
    health = Reply(200, "", 0.004, {"status": "ok"})
    finding, _ = judge(Seen(health, DESCRIBED, False))
    assert (finding.state, finding.said) == (State.OK, "Gapless 1.2.3, in 4 ms")
    unsaid, _ = judge(Seen(health, Reply(404, ""), False))
    assert unsaid.state is State.OK and "does not tell" in unsaid.said


@pytest.mark.parametrize(
    ("http2", "words", "state"),
    [(True, "share one connection", State.OK), (False, "six connections", State.OK), (None, "not seen", State.NOTE)],
)
def test_how_browsers_speak_is_told(http2: bool | None, words: str, state: State) -> None:
    _, finding = judge(Seen(Reply(200, "", body={"status": "ok"}), DESCRIBED, http2))
    assert finding.check == "http" and finding.state is state and words in finding.said


@pytest.mark.parametrize(
    ("offered", "trusted", "http2"),
    [(["h2", "http/1.1"], True, True), (["http/1.1"], True, False), (["h2"], False, None)],
)
async def test_the_handshake_tells(
    offered: list[str], trusted: bool, http2: bool | None, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    authority = trustme.CA()
    authority.cert_pem.write_to_path(str(tmp_path / "ca.pem"))
    if trusted:
        monkeypatch.setenv("SSL_CERT_FILE", str(tmp_path / "ca.pem"))
    context = ssl.create_default_context(ssl.Purpose.CLIENT_AUTH)
    authority.issue_cert("localhost").configure_cert(context)
    context.set_alpn_protocols(offered)

    async def hang_up(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        """Nobody speaks HTTP here."""

    async with (
        Listener(hang_up, tls=context) as listener,
        httpx.AsyncClient(base_url=f"https://localhost:{listener.port}") as http,
    ):
        seen = await probe(Site(http, "a", "b", None, None, 1, time.time))
    assert seen.http2 is http2
