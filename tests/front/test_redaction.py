"""No secret reaches a log, a reply or a list of processes, whatever goes wrong."""

from __future__ import annotations

import asyncio
import logging
import secrets
import time
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path
from typing import Any

import httpx
import pytest

from gapless.api.factory import create_app
from gapless.config.settings import Settings
from tests.testkit.alarm import until
from tests.testkit.app_fixture import bearer, running_app
from tests.testkit.forge import OTHER_SECRET, Secret, claims_of
from tests.testkit.service import Server, Service
from tests.testkit.upstash import EmulatorProcess
from tests.testkit.valkey import Valkey

MESSAGES = "/channels/a/messages"


class Visit:
    """Asks a service in every way that holds a secret, and keeps what it was told."""

    def __init__(self, service: Service, secret: str) -> None:
        self.service = service
        self.good = Secret(secret).sign(claims_of(time.time(), sub=f"sub-{secrets.token_hex(8)}"))
        self.bad = Secret(OTHER_SECRET).sign(claims_of(time.time()))
        self.ticket = ""
        self.told: list[str] = []
        self._http = httpx.Client(base_url=service.url, trust_env=False, timeout=30)

    def ask(self, method: str, path: str, **options: Any) -> httpx.Response:
        reply = self._http.request(method, path, **options)
        self.told.append(f"{reply.headers} {reply.text}")
        return reply

    def make_ticket(self) -> None:
        reply = self.ask("POST", "/tickets", json={"channels": ["a"]}, headers=bearer(self.good))
        self.ticket = self.told.pop() and reply.json()["ticket"]

    def ask_in_every_way(self) -> None:
        for token in (self.good, self.bad, self.good[:-3], f"{self.good}\u00e4"):
            raw: Any = {"Authorization": f"Bearer {token}".encode()}
            for headers in (raw, {"Cookie": b"gapless_token=" + token.encode(), "Origin": "http://evil.example"}):
                for method in ("GET", "POST", "DELETE", "PUT"):
                    self.ask(method, MESSAGES, json={"data": 1}, headers=headers)
            for name in ("access_token", "ticket"):
                for path in (MESSAGES, "/channels/a/stream", "/nowhere", "/channels/%20/messages"):
                    self.ask("GET", path, params={name: token})
        for method, path in (("GET", MESSAGES), ("POST", MESSAGES), ("GET", "/channels/a/stream"), ("GET", "/stream")):
            self.ask(method, path, params={"ticket": self.ticket, "channel": "b"})
        for path in ("/readyz", "/healthz", "/", "/docs", "/openapi.json"):
            self.ask("GET", path)

    def close(self) -> None:
        self._http.close()


def pieces(*texts: str) -> list[str]:
    """Each secret, and the parts of it that alone are worth something."""
    return [piece for text in texts for piece in {text, *text.split(".")[1:]} if len(piece) >= 8]


def nothing_of(found: list[str], where: str) -> None:
    seen = [piece for piece in found if piece in where]
    assert not seen, where


@pytest.fixture(scope="module")
def up(valkey_server: Valkey) -> Iterator[EmulatorProcess]:
    with EmulatorProcess(valkey_server.url) as up:
        yield up


@pytest.mark.real(seconds=5)
@pytest.mark.parametrize("server", ["gapless", "uvicorn"])
def test_nothing_of_a_secret_is_told_anywhere(up: EmulatorProcess, server: Server) -> None:
    jwt_secret, ticket_secret = secrets.token_urlsafe(32), secrets.token_urlsafe(32)
    env = {"UPSTASH_REDIS_REST_URL": up.url, "UPSTASH_REDIS_REST_TOKEN": up.token, "GAPLESS_LIFETIME": "0.2"}
    env |= {"GAPLESS_JWT_SECRET": jwt_secret, "GAPLESS_TICKET_SECRET": ticket_secret}
    with Service(env, server=server, fork=False) as service, closing(Visit(service, jwt_secret)) as visit:
        visit.make_ticket()
        visit.ask_in_every_way()
        for fault in ("html", "unauthorized"):
            up.arm(fault, times=20)  # type: ignore[arg-type]
            until(lambda: visit.ask("GET", "/readyz").status_code == 503, "what held for a second is asked anew")
            assert visit.ask("POST", MESSAGES, json={"data": 1}, headers=bearer(visit.good)).status_code == 503
            up.disarm()
        hidden = pieces(jwt_secret, ticket_secret, up.token, visit.good, visit.bad, visit.ticket)
        nothing_of(hidden, "\n".join(visit.told))
        nothing_of(hidden, Path(f"/proc/{service.pid}/cmdline").read_text())
        assert service.terminate() in (0, 143, -15)
        assert f"POST {MESSAGES}" in service.log, "and yet it is told what happened"
        nothing_of([*hidden, "access_token", "ticket="], service.log)


async def test_nor_of_the_password_of_a_redis_that_refuses_it(caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level(logging.DEBUG)
    async with running_app("redis://ann:hunter2-hunter2@127.0.0.1:1/0") as found:
        replies = await asyncio.gather(
            found.client.get("/readyz"),
            found.client.post(MESSAGES, json={"data": 1}),
            found.client.get("/channels/a/stream"),
        )
    assert [reply.status_code for reply in replies] == [503, 503, 200]
    assert "unavailable" in caplog.text, "it says so"
    nothing_of(["hunter2", "ann:"], "\n".join([caplog.text, *(reply.text for reply in replies)]))


def test_nothing_that_is_printed_by_mistake_holds_a_secret() -> None:
    """A dump of objects, as a debugger or an error reporter makes it."""
    secret = {"jwt_secret": "j" * 40, "ticket_secret": "t" * 40, "upstash_token": "u" * 40, "jwt_secret_old": "o" * 40}
    settings = Settings(
        upstash_url="https://name.upstash.io",
        redis_url="redis://ann:hunter2@localhost",
        jwks_url="https://issuer.example/keys?key=hunter3",
        **secret,  # type: ignore[arg-type]
    )
    app = create_app(settings)
    shown = f"{settings!r} {settings} {settings.model_dump()} {settings.model_dump_json()} {app!r} {vars(app)!r}"
    nothing_of(["hunter2", "hunter3", *("j" * 8, "t" * 8, "u" * 8, "o" * 8)], shown)
