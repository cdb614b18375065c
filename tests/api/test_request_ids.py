"""One id names a request in its reply, its problem and its log lines; replies say how long they took. (5.6 and 5.7)"""

from __future__ import annotations

import asyncio
import gc
import logging
import re
from collections.abc import AsyncIterator, MutableMapping
from types import SimpleNamespace
from typing import Any

import httpx
import pytest

from gapless.log.errors import StoreUnavailable
from gapless.platforms.policy import LAMBDA, VERCEL
from gapless.runtime.request import WithRequestId, current, current_id
from tests.api.problem import assert_problem
from tests.testkit.app_fixture import RunningApp, running_app
from tests.testkit.forge import SECRET
from tests.testkit.valkey import Valkey

APP = "https://app.example.com"
MESSAGES = "/channels/a/messages"
POST: dict[str, Any] = {
    **{"type": "http", "asgi": {"version": "3.0"}, "http_version": "1.1", "method": "POST", "scheme": "http"},
    **{"path": MESSAGES, "raw_path": MESSAGES.encode(), "query_string": b"", "root_path": ""},
    **{"client": ("127.0.0.1", 4711), "server": ("localhost", 80)},
    "headers": [(b"host", b"localhost"), (b"content-type", b"application/json"), (b"content-length", b"10")],
}
MADE = re.compile(r"[0-9a-f]{16}")


@pytest.fixture
async def found(valkey: Valkey) -> AsyncIterator[RunningApp]:
    async with running_app(valkey.url, origins=APP) as found:
        yield found


PATHS = ["/healthz", MESSAGES, "/channels/a/stream", "/nowhere", "/", "/static/page.js", "/channels/%20/messages"]


@pytest.mark.parametrize("path", PATHS)
async def test_every_reply_says_its_requests_id(found: RunningApp, path: str) -> None:
    (made,) = (await found.client.get(path)).headers.get_list("x-request-id")
    assert MADE.fullmatch(made)
    reply = await found.client.get(path, headers={"X-Request-Id": "from-outside.1"})
    assert reply.headers.get_list("x-request-id") == ["from-outside.1"]
    assert (await found.client.head(path)).headers["x-request-id"]


async def test_a_problem_says_it_too(found: RunningApp) -> None:
    reply = await found.client.post(MESSAGES, json={})
    assert assert_problem(reply, 422)["requestId"] == reply.headers["x-request-id"]
    reply = await found.client.get("/nowhere", headers={"X-Request-Id": "mine"})
    assert assert_problem(reply, 404)["requestId"] == "mine"
    reply = await found.at("203.0.113.7").get(MESSAGES)
    assert assert_problem(reply, 403)["requestId"] == reply.headers["x-request-id"]


async def test_so_do_all_log_lines_of_the_request(
    found: RunningApp, caplog: pytest.LogCaptureFixture, monkeypatch: pytest.MonkeyPatch
) -> None:
    async def unavailable(*_: object) -> None:
        raise StoreUnavailable("gone for lunch")

    monkeypatch.setattr(found.app.wiring.service.store, "publish", unavailable)
    caplog.handler.addFilter(WithRequestId())
    with caplog.at_level(logging.INFO, "gapless"):
        asked = [found.client.post(MESSAGES, json={"data": 1}, headers={"X-Request-Id": id}) for id in ("one", "two")]
        assert [reply.status_code for reply in await asyncio.gather(*asked)] == [503, 503]
    said = {(vars(record)["request_id"], record.name) for record in caplog.records if record.name != "gapless"}
    assert said == {(id, name) for id in ("one", "two") for name in ("gapless.problems", "gapless.access")}
    lines = [record.getMessage() for record in caplog.records if record.name == "gapless.access"]
    assert sorted(re.sub(r"\d+\.\d+s", "", line) for line in lines) == [
        f"POST {MESSAGES} 503  id={id}" for id in ("one", "two")
    ]


async def test_nothing_of_it_stays_with_the_task_that_has_asked(found: RunningApp) -> None:
    """An app that is mounted, or tested, runs in a task that goes on."""
    await found.client.get("/healthz")
    assert current.get() is None


async def test_a_request_leaves_nothing_to_the_collector(found: RunningApp) -> None:
    async def post() -> None:
        async def receive() -> dict[str, Any]:
            return {"type": "http.request", "body": b'{"data":1}', "more_body": False}

        async def send(message: MutableMapping[str, Any]) -> None:
            assert message.get("status", 201) == 201

        await found.app({**POST, "headers": list(POST["headers"])}, receive, send)

    await post()
    gc.collect()
    gc.disable()
    try:
        for _ in range(50):
            await post()
        assert gc.collect() < 50, "a ring of one's own would be two for each"
    finally:
        gc.enable()


async def test_what_feeds_do_is_no_requests(found: RunningApp, monkeypatch: pytest.MonkeyPatch) -> None:
    """The task of a feed begins with the request that happens to be first, and goes on after it."""
    store, ids = found.app.wiring.service.store, []

    async def subscribe(*asked: Any) -> Any:
        ids.append(current_id())
        return await type(store).subscribe(store, *asked)

    monkeypatch.setattr(store, "subscribe", subscribe)
    await found.whole("/channels/a/stream", {"X-Request-Id": "mine"})
    assert set(ids) == {""}  # a stream that was over before its hello is followed by another


async def test_on_a_platform_the_id_is_the_platforms(valkey: Valkey) -> None:
    async with running_app(valkey.url, policy=VERCEL, public=True) as vercel:
        reply = await vercel.client.get("/healthz", headers={"X-Vercel-Id": "fra1::abc-1"})
        assert reply.headers["x-request-id"] == "fra1::abc-1"
    async with running_app(valkey.url, policy=LAMBDA, public=True) as function:
        app: Any = function.app

        async def invoked(scope: Any, receive: Any, send: Any) -> None:
            await app({**scope, "aws.context": SimpleNamespace(aws_request_id="of-aws")}, receive, send)

        async with httpx.AsyncClient(transport=httpx.ASGITransport(invoked), base_url="http://localhost") as client:
            assert (await client.get("/healthz")).headers["x-request-id"] == "of-aws"


# --- how long it took


def timing(reply: httpx.Response) -> dict[str, float]:
    """The header's metrics in milliseconds; each is written as `name;dur=1.5`."""
    parts = [part.strip() for part in reply.headers.get("server-timing", "").split(",") if part]
    assert all(re.fullmatch(r"[a-z]+;dur=\d+\.\d", part) for part in parts), parts
    return {part.partition(";")[0]: float(part.partition("=")[2]) for part in parts}


async def test_replies_say_how_long_the_store_and_all_of_it_took(found: RunningApp) -> None:
    sent = await found.client.post(MESSAGES, json={"data": 1})
    assert list(timing(sent)) == ["store", "total"]
    assert 0 <= timing(sent)["store"] <= timing(sent)["total"] + 0.1
    assert list(timing(await found.client.get(MESSAGES))) == ["store", "total"]
    after = {"after": sent.json()["id"]}
    assert list(timing(await found.client.get(MESSAGES, params={**after, "wait": 0.01}))) == ["store", "wait", "total"]
    head = await found.client.get("/channels/a/stream")
    assert list(timing(head)) == ["total"], "a stream's head goes out before the store is asked"
    assert list(timing(await found.client.get("/channels/a/stream?mode=buffered"))) == ["total"]


async def test_a_refusal_says_nothing_of_times(valkey: Valkey) -> None:
    """Else it would show, without a network between, how long a guess was looked at."""
    async with running_app(valkey.url, jwt_secret=SECRET, origins=APP) as found:
        for headers in ({}, {"Authorization": "Bearer x"}):
            reply = await found.client.get(MESSAGES, headers={"Origin": APP, **headers})
            assert reply.status_code == 401
            assert not {"server-timing", "timing-allow-origin"} & set(reply.headers)
            assert reply.headers["x-request-id"]


async def test_pages_of_allowed_origins_may_read_both_and_no_others(found: RunningApp) -> None:
    reply = await found.client.get(MESSAGES, headers={"Origin": APP})
    exposed = reply.headers["access-control-expose-headers"].split(", ")
    assert {"Server-Timing", "X-Request-Id"} <= set(exposed)
    assert reply.headers.get_list("timing-allow-origin") == [APP]
    assert "timing-allow-origin" not in (await found.client.get(MESSAGES)).headers
    other = await found.client.get("/healthz", headers={"Origin": "http://localhost:3000"})
    assert other.status_code == 200 and "timing-allow-origin" not in other.headers


async def test_where_all_origins_may_read_all_may(valkey: Valkey) -> None:
    async with running_app(valkey.url, origins="*", public=True) as found:
        reply = await found.client.get(MESSAGES, headers={"Origin": "https://any.example"})
        assert reply.headers["timing-allow-origin"] == "*"


async def test_it_can_be_turned_off(valkey: Valkey) -> None:
    async with running_app(valkey.url, server_timing=False, origins=APP) as found:
        reply = await found.client.get(MESSAGES, headers={"Origin": APP})
        assert not {"server-timing", "timing-allow-origin"} & set(reply.headers)
