"""Every kind of front: what a client sends arrives whole, and so does what it is answered."""

from __future__ import annotations

import json
import time
from typing import Any

import httpx
import jwt
import pytest

from tests.testkit.event_stream import Event, EventStreamParser
from tests.testkit.lambda_runtime import Front, Setup

from .serving import serving

pytestmark = pytest.mark.real(seconds=10)

SECRET = "a secret of thirty-two characters"
TEXT = 'é 猫 🐈 "\\ \u2028 \x7f'
KINDS = [
    *(pytest.param(kind, Setup(), id=kind.name) for kind in Front),
    pytest.param(Front.HTTP_API_V2, Setup(stage="beta"), id="HTTP_API_V2-stage"),
    pytest.param(Front.HTTP_API_V1, Setup(stage="beta"), id="HTTP_API_V1-stage"),
    pytest.param(Front.REST_API, Setup(base_path="live"), id="REST_API-base path"),
]


def token(user: str = "ann") -> str:
    own = {"publish": ["*"], "subscribe": ["*"], "admin": True}
    return jwt.encode({"sub": user, "exp": time.time() + 3600, "gapless": own}, SECRET, "HS256")


def events(reply: httpx.Response) -> list[Event]:
    assert reply.status_code == 200 and reply.headers["content-type"].startswith("text/event-stream"), reply.text
    return list(EventStreamParser().feed(reply.content))


def messages(reply: httpx.Response) -> list[Any]:
    return [json.loads(one.data)["data"] for one in events(reply) if one.type == "message"]


@pytest.mark.parametrize(("kind", "setup"), KINDS)
async def test_requests_and_replies_are_whole(kind: Front, setup: Setup, tcp: dict[str, str]) -> None:
    env = tcp | {"GAPLESS_JWT_SECRET": SECRET, "GAPLESS_PUBLIC": "", "GAPLESS_ORIGINS": "https://page.example"}
    async with (
        serving(env, kind, setup=setup) as front,
        httpx.AsyncClient(base_url=front.url, timeout=30) as http,
    ):
        bearer = {"Authorization": f"Bearer {token()}"}
        await bodies_headers_and_cookies(http, bearer)
        await queries(http, bearer, repeats=kind is not Front.ALB)
        await replies_other_than_200(http, bearer)
        await files(http)


async def bodies_headers_and_cookies(http: httpx.AsyncClient, bearer: dict[str, str]) -> None:
    named = {"Idempotency-Key": "k-1", **bearer}
    made = [await http.post("/channels/a:1/messages", json={"data": TEXT}, headers=named) for _ in range(2)]
    first = made[0].json()
    assert [one.status_code for one in made] == [201, 200] and made[1].json()["duplicate"] is True
    assert (first["channel"], first["user"], first["localId"]) == ("a:1", "ann", "k-1")
    again = await http.post("/channels/a%3A1/messages", json={"data": {"é": [TEXT]}}, headers=bearer)
    assert again.status_code == 201, again.text
    # The cookie among others, and Last-Event-ID, which wins over the query.
    headers = {"Cookie": f"theme=dark; gapless_token={token()}; other=a=b", "Last-Event-ID": first["id"]}
    turn = await http.get(f"/channels/a%3A1/stream?after={again.json()['id']}", headers=headers)
    assert messages(turn) == [{"é": [TEXT]}]
    assert turn.headers["cache-control"] == "no-store"


async def queries(http: httpx.AsyncClient, bearer: dict[str, str], *, repeats: bool) -> None:
    """Without multi-value headers a load balancer passes on the last of repeated names alone."""
    await http.post("/channels/b/messages", json={"data": 2}, headers=bearer)
    everything = {TEXT, str({"é": [TEXT]}), "2"}
    listed = await http.get("/stream?channel=a%3A1,b&history=5&after=", headers=bearer)
    assert set(map(str, messages(listed))) == everything
    repeated = await http.get("/stream?channel=a%3A1&channel=b&history=5", headers=bearer)
    assert set(map(str, messages(repeated))) == (everything if repeats else {"2"})
    page = await http.get(f"/channels/a:1/messages?limit=1&access_token={token('bob')}")
    assert [one["data"] for one in page.json()["messages"]] == [{"é": [TEXT]}]


async def replies_other_than_200(http: httpx.AsyncClient, bearer: dict[str, str]) -> None:
    """Bodies are text, not base64; statuses and headers are ours."""
    refused = await http.get("/channels/b/messages?limit=x", headers=bearer)
    assert refused.status_code == 422 and refused.headers["content-type"] == "application/problem+json"
    assert "limit" in refused.json()["detail"]
    nobody = await http.get("/channels/b/stream")
    assert nobody.status_code == 401 and nobody.json()["status"] == 401
    wrong = await http.put("/channels/b/messages", headers=bearer)
    assert wrong.status_code == 405 and wrong.headers["allow"] == "GET, POST"
    asked = {"Origin": "https://page.example", "Access-Control-Request-Method": "POST"}
    preflight = await http.options("/channels/b/messages", headers=asked)
    assert preflight.headers["access-control-allow-origin"] == "https://page.example"
    head = await http.head("/channels/b/stream", headers=bearer)
    assert (head.status_code, head.content) == (200, b"")
    gone = await http.delete("/channels/b", headers=bearer)
    assert (gone.status_code, gone.content) == (204, b"")


async def files(http: httpx.AsyncClient) -> None:
    index, script = await http.get("/"), await http.get("/static/gapless.js")
    assert "<html" in index.text and "export function gapless" in script.text
    assert script.headers["content-type"].startswith("text/javascript")
    assert "/stream" in (await http.get("/openapi.json")).json()["paths"]
