"""How many streams may be opened and be open, and that a refusal is an event: a status would stop an EventSource."""

from __future__ import annotations

import time
from collections import Counter
from contextlib import AsyncExitStack

from tests.front.house import House, events, house
from tests.support.alarm import auntil
from tests.support.valkey import Valkey

MESSAGES = "/channels/general/messages"


async def opened(found: House, path: str = "/channels/a/stream", address: str = "127.0.0.1") -> str:
    """How a stream ended: the reason of its `end`. Whatever it is, an EventSource goes on."""
    reply = await found.at(address).get(path)
    assert reply.status_code == 200
    assert reply.headers["content-type"].startswith("text/event-stream")
    assert reply.headers["cache-control"].startswith("no-store")
    read = events(reply.content)
    reason = read[-1].data.removeprefix('{"reason":"').removesuffix('"}')
    if reason == "busy":
        assert len(read) == 1
        assert not read[0].has_id
        assert reply.text.startswith("retry: ")
        assert 5000 <= int(reply.text[7:].partition("\n")[0]) <= 7500
    return reason


async def test_streams_opened_too_fast_are_told_so(valkey: Valkey) -> None:
    now = time.time()
    async with house(valkey.url, public=True, stream_rate=3, wall=lambda: now) as found:
        assert [await opened(found) for _ in range(3)] == ["deadline"] * 3
        assert [await opened(found, path) for path in ("/channels/a/stream", "/stream?channel=a,b")] == ["busy"] * 2
        assert await opened(found, address="203.0.113.7") == "deadline", "another address is another"
        head = await found.client.head("/channels/a/stream")
        assert head.status_code == 200, "to look costs nothing"
        assert (await found.client.get("/channels/a/messages")).status_code == 200


async def test_streams_open_at_once_are_bounded_and_exactly(valkey: Valkey) -> None:
    async with house(valkey.url, streams=5, lifetime=60) as found:
        async with AsyncExitStack() as stack:
            paths = [f"/channels/c{number}/stream" for number in range(40)]
            asked = [await stack.enter_async_context(found.live(path)) for path in paths]
            await auntil(lambda: all(one.events for one in asked), "an answer for each")
            assert Counter(one.events[-1].type for one in asked) == {"hello": 5, "end": 35}
            assert await opened(found) == "busy"
        async with found.live("/channels/a/stream") as another:
            await another.until("hello")


async def test_channels_of_a_process_are_bounded(valkey: Valkey) -> None:
    async with house(valkey.url, channels=16, linger=300.0, lifetime=60) as found:
        async with found.live("/stream?channel=" + ",".join(f"c{number}" for number in range(16))) as reader:
            await reader.until("hello")
            assert await opened(found, "/channels/another/stream") == "busy"
            assert await opened(found, "/stream?channel=c1,another") == "busy"
            async with found.live("/stream?channel=c1,c2") as second:
                await second.until("hello")
        async with found.live("/channels/another/stream") as third:
            await third.until("hello")  # a feed that lingers makes way


async def test_long_polls_count_as_readers(valkey: Valkey) -> None:
    async with house(valkey.url, streams=1, lifetime=60) as found, found.live("/channels/a/stream") as reader:
        (hello,) = await reader.until("hello")
        reply = await found.client.get(MESSAGES, params={"after": hello["cursor"], "wait": 20})
        assert (reply.status_code, reply.headers["retry-after"]) == (429, "5")
        assert (await found.client.get(MESSAGES)).status_code == 200, "history opens nothing"
