"""A stream that can't be served now says so in an event: a status would stop an EventSource for ever."""

from __future__ import annotations

import asyncio
import time

import httpx
import pytest

from gapless.api.routes import stream
from gapless.log.cursor import format_cursor, no_log
from gapless.platforms.policy import LAMBDA, SERVER, Policy
from tests.api.problem import assert_problem
from tests.testkit.alarm import auntil
from tests.testkit.app_fixture import events, running_app
from tests.testkit.valkey import Valkey

PATHS = ["/channels/a/stream", "/stream?channel=a,b"]
NOWHERE = "redis://127.0.0.1:1"


def says_only(reply: httpx.Response, reason: str) -> None:
    """200, a retry of some seconds, one `end`, and no id."""
    assert reply.status_code == 200
    assert reply.headers["content-type"].startswith("text/event-stream")
    assert reply.headers["cache-control"].startswith("no-store")
    (event,) = events(reply.content)
    assert (event.type, event.data, event.has_id) == ("end", f'{{"reason":"{reason}"}}', False)
    assert 5000 <= int(reply.text.removeprefix("retry: ").partition("\n")[0]) <= 7500


@pytest.mark.parametrize("policy", [SERVER, LAMBDA], ids=lambda policy: policy.platform)
async def test_a_store_that_is_not_there(policy: Policy) -> None:
    """Asked all at once: each waits as long as a store may take."""
    async with running_app(NOWHERE, policy=policy, public=True, lifetime=30) as found:
        asked = [
            found.client.get(path, headers={} if cursor is None else {"Last-Event-ID": cursor})
            for path in PATHS
            for cursor in (None, "t9x2k0ab-1-aaaa", "none")
        ]
        for reply in await asyncio.gather(*asked):
            says_only(reply, "unavailable")


async def test_all_else_is_a_problem_that_says_when_to_come_back() -> None:
    """A publisher reads whether anything was written; whoever asks `readyz` reads why."""
    async with running_app(NOWHERE) as found:
        for reply in await asyncio.gather(
            found.client.post("/channels/a/messages", json={"data": 1}),
            found.client.get("/channels/a/messages"),
            found.client.get("/channels/a/messages?after=t9x2k0ab-1-aaaa&wait=5"),
            found.client.get("/readyz"),
        ):
            told = assert_problem(reply, 503)
            assert told.get("outcome") == (None if reply.url.path == "/readyz" else "none")
            assert int(reply.headers["retry-after"]) > 0
        assert (await found.client.get("/healthz")).status_code == 200


@pytest.mark.parametrize("path", PATHS)
async def test_a_defect_of_ours(valkey: Valkey, path: str, monkeypatch: pytest.MonkeyPatch) -> None:
    hits = []

    def broken(*_: object, **__: object) -> None:
        hits.append(1)
        raise ZeroDivisionError

    monkeypatch.setattr(stream, "remaining", broken)
    async with running_app(valkey.url) as found:
        says_only(await found.client.get(path), "unavailable")
    assert hits == [1]


async def test_no_room_for_a_turn(valkey: Valkey) -> None:
    """Sixteen channels are read already, by a turn that waits. For streams: `tests/front/test_stream_limits.py`."""
    names = [f"c{number}" for number in range(16)]
    place = format_cursor([no_log(time.time())] * 16)
    async with running_app(valkey.url, policy=LAMBDA, public=True, channels=16, lifetime=30) as found:
        feeds = found.app.wiring.service.feeds
        async with found.live(f"/stream?channel={','.join(names)}", {"Last-Event-ID": place}):
            await auntil(lambda: all(map(feeds.warm, names)), "they are read")
            says_only(await found.client.get("/channels/another/stream"), "busy")
            await found.client.post("/channels/c0/messages", json={"data": "end"})


@pytest.mark.parametrize(
    ("path", "status"),
    [
        ("/channels/%20/stream", 422),
        ("/stream", 422),
        ("/channels/a/stream?history=201", 422),
        ("/stream?channel=", 422),
    ],
)
async def test_what_can_never_work_is_a_status(valkey: Valkey, path: str, status: int) -> None:
    async with running_app(valkey.url) as found:
        reply = await found.client.get(path)
        assert (reply.status_code, reply.headers["content-type"]) == (status, "application/problem+json")
