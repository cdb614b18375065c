"""How many streams may be opened and be open, and that a refusal is an event: a status would stop an EventSource."""

from __future__ import annotations

import asyncio
import time
from collections import Counter
from contextlib import AbstractAsyncContextManager, AsyncExitStack
from typing import Any

import pytest

from gapless.channels.feeds import Feeds
from gapless.delivery.mode import Mode
from gapless.log.errors import Busy
from gapless.platforms.policy import SERVER
from tests.testkit.alarm import auntil
from tests.testkit.app_fixture import RunningApp, bearer, events, running_app
from tests.testkit.forge import SECRET, Secret, claims_of
from tests.testkit.valkey import Valkey

MESSAGES = "/channels/general/messages"


def keyed(valkey: Valkey, **settings: Any) -> AbstractAsyncContextManager[RunningApp]:
    return running_app(valkey.url, public=True, jwt_secret=SECRET, stream_rate=0, **settings)


def token(sub: str) -> str:
    return Secret().sign(claims_of(time.time(), sub=sub, exp=int(time.time()) + 300))


async def opened(found: RunningApp, path: str = "/channels/a/stream", address: str = "127.0.0.1") -> str:
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
    async with running_app(valkey.url, public=True, stream_rate=3, clock=lambda: now) as found:
        assert [await opened(found) for _ in range(3)] == ["deadline"] * 3
        assert [await opened(found, path) for path in ("/channels/a/stream", "/stream?channel=a,b")] == ["busy"] * 2
        assert await opened(found, address="203.0.113.7") == "deadline", "another address is another"
        head = await found.client.head("/channels/a/stream")
        assert head.status_code == 200, "to look costs nothing"
        assert (await found.client.get("/channels/a/messages")).status_code == 200


async def test_streams_open_at_once_are_bounded_and_exactly(valkey: Valkey) -> None:
    async with running_app(valkey.url, streams=5, lifetime=60) as found:
        async with AsyncExitStack() as stack:
            paths = [f"/channels/c{number}/stream" for number in range(40)]
            asked = [await stack.enter_async_context(found.live(path)) for path in paths]
            await auntil(lambda: all(one.events for one in asked), "an answer for each")
            assert Counter(one.events[-1].type for one in asked) == {"hello": 5, "end": 35}
            assert await opened(found) == "busy"
        async with found.live("/channels/a/stream") as another:
            await another.until("hello")


async def test_channels_of_a_process_are_bounded(valkey: Valkey) -> None:
    async with running_app(valkey.url, channels=16, linger=300.0, lifetime=60) as found:
        async with found.live("/stream?channel=" + ",".join(f"c{number}" for number in range(16))) as reader:
            await reader.until("hello")
            assert await opened(found, "/channels/another/stream") == "busy"
            assert await opened(found, "/stream?channel=c1,another") == "busy"
            async with found.live("/stream?channel=c1,c2") as second:
                await second.until("hello")
        async with found.live("/channels/another/stream") as third:
            await third.until("hello")  # a feed that lingers makes way


def many(*numbers: int) -> str:
    return "/stream?channel=" + ",".join(f"c{number}" for number in numbers)


async def test_one_subject_has_a_share_and_others_the_rest(valkey: Valkey) -> None:
    """125 streams of 16 new channels each, with one token, made everybody else busy."""
    async with keyed(valkey, channels=2000, user_share=0.02, address_share=1, lifetime=60) as found:
        async with AsyncExitStack() as stack:
            ann, bob = token("ann"), token("bob")
            asked = [
                await stack.enter_async_context(found.live(f"{many(*range(at, at + 16))}&access_token={ann}"))
                for at in range(0, 160, 16)
            ]
            await auntil(lambda: all(one.events for one in asked), "an answer for each")
            assert [one.events[0].type for one in asked] == ["hello"] * 2 + ["end"] * 8, "40 of 2000 channels"
            for path, who in ((many(*range(8)), ann), (many(*range(500, 516)), bob), (many(0), bob)):
                async with found.live(f"{path}&access_token={who}") as other:
                    await other.until("hello")
            poll = await found.client.get("/channels/x/messages", params={"after": "x", "access_token": ann})
            assert poll.status_code == 200, "eight channels are left to her"
        async with found.live(f"{many(*range(200, 216))}&access_token={ann}") as again:
            await again.until("hello")


async def test_one_address_has_a_share_and_others_the_rest(valkey: Valkey) -> None:
    settings = {"public": True, "streams": 100, "address_share": 0.2, "lifetime": 60}
    async with running_app(valkey.url, **settings) as found, AsyncExitStack() as stack:
        asked = [await stack.enter_async_context(found.live("/channels/a/stream")) for _ in range(25)]
        await auntil(lambda: all(one.events for one in asked), "an answer for each")
        assert Counter(one.events[-1].type for one in asked) == {"hello": 20, "end": 5}
        reply = await found.client.get(MESSAGES, params={"after": "x", "wait": 1})
        assert (reply.status_code, reply.headers["retry-after"]) == (429, "5")
        other = await found.at("203.0.113.7").get(MESSAGES, params={"after": "x", "wait": 1})
        assert other.status_code == 200


async def test_long_polls_are_rated_as_streams_are(valkey: Valkey) -> None:
    now = time.time()
    async with running_app(valkey.url, public=True, stream_rate=3, clock=lambda: now) as found:
        polls = [await found.client.get(MESSAGES, params={"after": "x", "wait": 1}) for _ in range(4)]
        assert [reply.status_code for reply in polls] == [200] * 3 + [429]
        assert (polls[-1].json()["retryAfterMs"], polls[-1].headers["retry-after"]) == (20_000, "20")
        assert await opened(found) == "busy"
        assert (await found.client.get(MESSAGES)).status_code == 200, "history opens nothing"


async def test_who_reads_too_much_is_told_to_wait(valkey: Valkey) -> None:
    """An id that never was costs several commands each time: only so many a minute."""
    async with keyed(valkey, read_rate=1) as found:
        ann, bob = token("ann"), token("bob")
        never = {"before": "t9x2k0ab-7-abcd"}
        await found.client.post("/channels/general/messages", json={"data": 1}, headers=bearer(ann))
        with valkey.count_commands() as counted:
            replies = [
                await found.client.get(MESSAGES, params={"access_token": ann, **query})
                for query in [never, {"after": never["before"]}] * 20
            ]
        refused = [reply for reply in replies if reply.status_code != 200]
        assert 10 < len(refused) < 35
        assert counted.total() <= 80
        assert all(reply.status_code == 429 and 0 < reply.json()["retryAfterMs"] < 30_000 for reply in refused)
        assert all(1 <= int(reply.headers["retry-after"]) <= 30 for reply in refused)
        assert await opened(found, f"/channels/general/stream?access_token={ann}") == "busy"
        assert await opened(found, f"/channels/general/stream?access_token={bob}") == "deadline"
        assert (await found.client.get(f"/channels/general/messages?access_token={bob}")).status_code == 200


@pytest.mark.parametrize("mode", ["long poll", "turn"])
async def test_whoever_leaves_while_he_waits_gives_his_place_back(valkey: Valkey, mode: str) -> None:
    """Five polls that were broken off made a process of five busy for 25 s."""
    policy = SERVER._replace(mode=Mode.BUFFERED) if mode == "turn" else SERVER
    async with running_app(valkey.url, policy=policy, streams=5, lifetime=60) as found:
        cursor = (await found.client.get(MESSAGES)).json()["cursor"]
        path, query = (MESSAGES, "wait=25&") if mode == "long poll" else ("/channels/general/stream", "")
        feeds: Feeds = found.app.wiring.service.feeds
        async with AsyncExitStack() as stack:
            for _ in range(5):
                await stack.enter_async_context(found.live(f"{path}?{query}after={cursor}"))
            await auntil(lambda: is_full(feeds), "all to wait")
            assert (await found.client.get(MESSAGES, params={"after": "x", "wait": 1})).status_code == 429
            async with asyncio.timeout(10):  # they would wait for twice as long by themselves
                await stack.aclose()
        assert (await found.client.get(MESSAGES, params={"after": "x", "wait": 1})).status_code == 200


async def is_full(feeds: Feeds) -> bool:
    """Whether there is no place for another."""
    try:
        async with feeds.open(["general"]):
            return False
    except Busy:
        return True


async def test_long_polls_count_as_readers(valkey: Valkey) -> None:
    async with running_app(valkey.url, streams=1, lifetime=60) as found, found.live("/channels/a/stream") as reader:
        (hello,) = await reader.until("hello")
        reply = await found.client.get(MESSAGES, params={"after": hello["cursor"], "wait": 20})
        assert (reply.status_code, reply.headers["retry-after"]) == (429, "5")
        assert (await found.client.get(MESSAGES)).status_code == 200, "history opens nothing"
