"""The table of docs/security.md, read from there: every route and kind of token has the status that it says."""

from __future__ import annotations

import re
import time
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import httpx
import pytest
from starlette.routing import Mount, Route

from gapless.api.factory import create_app
from gapless.auth import verifier as keys
from gapless.config.settings import Settings
from gapless.services import typewriter
from tests.testkit.app_fixture import RunningApp, bearer, events, running_app
from tests.testkit.forge import SECRET, Published, Secret, Signer, claims_of, unsigned
from tests.testkit.key_server import KeyServer
from tests.testkit.valkey import Valkey

PAGE = Path(__file__).parents[2] / "docs" / "security.md"
SIGNERS: list[Signer] = [Secret(), Published("RSA"), Published("EC")]
BODIES = {
    "/channels/{channel}/messages": {"data": 1},
    "/channels/{channel}/receipts": {"read": "t9x2k0ab-1-m4ez"},
    "/channels/{channel}/signals": {"event": "typing"},
    "/tickets": {"channels": ["general"]},
    "/run": {"channel": "run:1234"},
}
EVERY: dict[str, Any] = {"namespaces": {"": {"signals": True, "receipts": True, "presence": True}}, "metrics": True}
"""What is off unless it is asked for is on, so that its routes are there."""
QUERIES = {"/stream": "?channel=general"}
BY_URL = {("GET", f"/channels/{{channel}}/{what}") for what in ("messages", "receipts", "presence")} | {
    (method, path) for method in ("GET", "HEAD") for path in ("/channels/{channel}/stream", "/stream")
}
"""What may be read with a token in the URL."""


def read_table() -> dict[str, dict[str, int]]:
    """Status by route and kind of token."""
    rows = [
        [cell.strip(" `") for cell in line.strip().strip("|").split("|")]
        for line in PAGE.read_text(encoding="utf-8").splitlines()
        if re.match(r"\| *(route|`[A-Z]+ /)", line)
    ]
    kinds = rows[0][1:]
    return {row[0]: dict(zip(kinds, map(int, row[1:]), strict=True)) for row in rows[1:]}


TABLE = read_table()
KINDS = list(next(iter(TABLE.values())))


def tokens(signer: Signer) -> dict[str, str | None]:
    """One of each kind of the table's columns."""
    now = time.time()

    def claims(rights: tuple[str, ...] = ("*",), **more: Any) -> dict[str, Any]:
        good = claims_of(now, rights=rights, aud="us", **more)
        return good | {"gapless": {**good["gapless"], "admin": rights == ("*",)}}

    return {
        "no token": None,
        "wrong signature": signer.sign_by_another(claims()),
        "alg none": unsigned(claims()),
        "HS/RS confusion": signer.confuse(claims()),
        "expired": signer.sign(claims(exp=int(now) - 31)),
        "not yet valid": signer.sign(claims(nbf=int(now) + 60)),
        "no exp": signer.sign(claims(exp=None)),
        "no sub": signer.sign(claims(sub=None)),
        "wrong audience": signer.sign({**claims(), "aud": "them"}),
        "without the right": signer.sign(claims(rights=("other", "general.*"))),
        "right": signer.sign(claims()),
    }


@asynccontextmanager
async def keyed(valkey: Valkey, signer: Signer) -> AsyncIterator[RunningApp]:
    """A service that verifies what this signer signs."""
    if isinstance(signer, Secret):
        async with running_app(valkey.url, jwt_secret=SECRET, jwt_audience="us", **EVERY) as found:
            yield found
        return
    async with KeyServer(signer.jwk, Published("EC", "another", 7).jwk) as server:
        settings = {"jwks_url": server.url, "jwt_audience": "us", "ticket_secret": SECRET, **EVERY}
        async with running_app(valkey.url, **settings) as found:
            yield found


async def ask(client: httpx.AsyncClient, route: str, **options: Any) -> httpx.Response:
    """One request of a route of the table."""
    method, path = route.split(" ")
    url = path.format(channel="general", file="page.js") + QUERIES.get(path, "")
    if "access_token" in options:
        url += ("&" if "?" in url else "?") + f"access_token={options.pop('access_token')}"
    body = BODIES.get(path) if method in ("POST", "PUT") else None
    return await client.request(method, url, json=body, **options)


def test_the_table_has_a_row_for_each_route() -> None:
    app = create_app(Settings())
    routes = {f"{method} {route.path}" for route in app.routes if isinstance(route, Route) for method in route.methods}
    files = {f"GET {route.path}/{{file}}" for route in app.routes if isinstance(route, Mount)}
    assert set(TABLE) == (routes | files) - {"HEAD /openapi.json"}
    assert set(KINDS) == set(tokens(Secret()))


@pytest.fixture(autouse=True)
def _at_once(monkeypatch: pytest.MonkeyPatch) -> None:
    """A run pauses nowhere."""
    monkeypatch.setattr(typewriter, "PAUSE", 0)


@pytest.fixture(scope="module", params=SIGNERS, ids=lambda signer: getattr(signer, "kind", "secret"))
async def signed(request: pytest.FixtureRequest, valkey_server: Valkey) -> AsyncIterator[tuple[RunningApp, Signer]]:
    """One service for each signer, and who signs for it."""
    async with keyed(valkey_server, request.param) as found:
        yield await found.checked(), request.param


@pytest.fixture(scope="module")
async def shared(valkey_server: Valkey) -> AsyncIterator[RunningApp]:
    """One service whose application shares a secret with it."""
    async with keyed(valkey_server, Secret()) as found:
        yield await found.checked()


@pytest.mark.parametrize("route", TABLE)
async def test_every_route_answers_what_the_page_says(
    valkey: Valkey, route: str, signed: tuple[RunningApp, Signer]
) -> None:
    found, signer = signed
    seen = {}
    for kind, token in tokens(signer).items():
        reply = await ask(found.client, route, headers=bearer(token) if token else {})
        seen[kind] = reply.status_code
        if reply.status_code == 401:
            assert reply.headers["www-authenticate"] == "Bearer"
    assert seen == TABLE[route]


@pytest.mark.parametrize("route", TABLE)
async def test_a_cookie_says_the_same_on_our_own_pages(valkey: Valkey, route: str, shared: RunningApp) -> None:
    seen = {}
    for kind, token in tokens(Secret()).items():
        headers = {"Origin": "http://localhost", **({"Cookie": f"gapless_token={token}"} if token else {})}
        seen[kind] = (await ask(shared.client, route, headers=headers)).status_code
    assert seen == TABLE[route]


@pytest.mark.parametrize("route", TABLE)
async def test_a_token_in_a_url_reads_and_does_nothing_else(valkey: Valkey, route: str, shared: RunningApp) -> None:
    method, path = route.split(" ")
    seen = {}
    for kind, token in tokens(Secret()).items():
        seen[kind] = (await ask(shared.client, route, access_token=token or "")).status_code
    nobody = TABLE[route]["no token"]
    assert seen == (TABLE[route] if (method, path) in BY_URL else dict.fromkeys(KINDS, nobody))


@pytest.mark.parametrize("route", [route for route in TABLE if TABLE[route]["no token"] == 401])
async def test_who_may_comes_before_what(route: str, shared: RunningApp) -> None:
    """Whoever may not ask learns nothing of what he asked for, and is not read at length."""
    method, path = route.split(" ")
    url = path.format(channel="not%20a%20channel") + "?limit=x&cursor=x&channel=%00"
    reply = await shared.client.request(method, url, content=b"{", headers={"Idempotency-Key": "x" * 1000})
    assert reply.status_code == 401


# --- where the keys can't be had


@pytest.mark.parametrize("route", [route for route in TABLE if TABLE[route]["no token"] == 401])
async def test_without_the_published_keys_streams_say_so_and_others_are_503(valkey: Valkey, route: str) -> None:
    token = Published("EC").sign(claims_of(time.time()))
    async with KeyServer() as server, running_app(valkey.url, jwks_url=server.url, **EVERY) as found:
        server.answer = b""
        reply = await ask(found.client, route, headers=bearer(token))
        assert server.requests == 1
        assert "hunter2" not in reply.text
    if "stream" not in route:
        assert reply.status_code == 503
        assert reply.headers["retry-after"]
        assert "keys" in reply.json()["detail"]
        return
    assert reply.status_code == 200
    assert reply.headers["content-type"].startswith("text/event-stream")
    assert reply.headers["cache-control"] == "no-store"
    if not route.startswith("HEAD"):
        (event,) = events(reply.content)
        assert event[:2] == ("end", '{"reason":"unavailable"}')
        assert not event.has_id
        assert int(reply.text.removeprefix("retry: ").partition("\n")[0]) >= 5000


async def test_keys_that_rotate_are_followed(valkey: Valkey, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(keys, "AGAIN", 0.0)
    old, new = Published("EC", "old", 1), Published("EC", "new", 2)

    async def status(found: RunningApp, signer: Published) -> int:
        headers = bearer(signer.sign(claims_of(time.time())))
        return (await ask(found.client, "GET /channels/{channel}/stream", headers=headers)).status_code

    async with KeyServer(old.jwk) as server, running_app(valkey.url, jwks_url=server.url) as found:
        assert (await status(found, old), await status(found, new)) == (200, 401)
        server.keys = [old.jwk, new.jwk]
        assert (await status(found, old), await status(found, new)) == (200, 200)
        server.keys = [new.jwk]
        assert await status(found, Published("EC", "asks for a fetch", 3)) == 401
        assert (await status(found, old), await status(found, new)) == (401, 200)


# --- without keys


async def test_without_keys_everybody_reads_and_writes_and_nobody_deletes(valkey: Valkey) -> None:
    refused = {"GET /channels": 403, "DELETE /channels/{channel}": 403, "POST /tickets": 422}
    names_nobody = {"PUT /channels/{channel}/receipts", "DELETE /channels/{channel}/presence"}
    refused |= dict.fromkeys(names_nobody | {"POST /channels/{channel}/presence/leave"}, 422)
    async with running_app(valkey.url, **EVERY) as found:
        for route, told in TABLE.items():
            for kind in ("no token", "wrong signature"):
                token = tokens(Secret())[kind]
                reply = await ask(found.client, route, headers=bearer(token) if token else {})
                assert reply.status_code == refused.get(route, told["right"]), route
