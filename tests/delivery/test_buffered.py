"""Buffered mode, on virtual time: one answer at a time, and the same promise."""

from __future__ import annotations

import asyncio
import json
from typing import Any

import pytest

from gapless.channels.feed_settings import FeedSettings
from gapless.channels.feeds import Feeds
from gapless.delivery.buffered import MOST_BYTES, MOST_MESSAGES, BufferedResponse
from gapless.delivery.streaming import Start, StreamLimits
from gapless.log.cursor import parse_cursor
from gapless.log.errors import StoreUnavailable
from gapless.log.store import Slice
from tests.testkit.clock import advance, settle
from tests.testkit.model_store import ModelStore

pytestmark = pytest.mark.virtual_time

LOAD_BALANCER = 1_048_576
"""Bytes of JSON that the smallest of fronts takes; in it a byte of a turn becomes up to three."""

SETTINGS = FeedSettings(recheck=15, linger=0, retention=86_400, page=64, freezes=True)


async def take(
    store: ModelStore, *channels: str, start: Start | None = None, lifetime: float = 20
) -> list[dict[str, str]]:
    """The blocks of one turn; nothing of it is left on the loop."""
    feeds = Feeds(store, SETTINGS, store.clock.now)
    others = asyncio.all_tasks()
    async with feeds.open(channels or ("c",)) as opened:
        body = await BufferedResponse(opened, start or Start(), StreamLimits(lifetime, 15, 700, 0.5)).collect()
    assert asyncio.all_tasks() <= others, "something was left running"
    blocks = [block for block in body.decode().split("\n\n") if block]
    return [dict(line.split(": ", 1) for line in block.split("\n")) for block in blocks]


def last_id(blocks: list[dict[str, str]]) -> str:
    return [block["id"] for block in blocks if "id" in block][-1]


def messages(blocks: list[dict[str, str]]) -> list[Any]:
    return [json.loads(block["data"]) for block in blocks if "event" not in block]


def resume(blocks: list[dict[str, str]], channels: int = 1) -> Start:
    return Start(cursor=parse_cursor(last_id(blocks), channels))


async def test_without_a_cursor_it_answers_at_once() -> None:
    store = ModelStore()
    head = store.append("c", "1", "2")[-1].position
    blocks = await take(store)
    assert asyncio.get_running_loop().time() < 0.1
    assert [block.get("event") for block in blocks] == ["hello", "end"]
    assert blocks[0]["id"] == str(head)
    assert json.loads(blocks[0]["data"])["mode"] == "buffered"
    assert blocks[1]["retry"] == "100"


async def test_with_a_cursor_it_waits_for_a_message() -> None:
    store = ModelStore()
    store.append("c", "1")
    begin = resume(await take(store))
    turn = asyncio.create_task(take(store, start=begin))
    await advance(7)
    assert not turn.done()
    store.append("c", "2", "3")
    await settle()
    assert [message["data"] for message in messages(turn.result())] == [2, 3]


async def test_it_answers_empty_at_the_deadline() -> None:
    store = ModelStore()
    begin = resume(await take(store))
    blocks = await take(store, start=begin, lifetime=18)
    assert asyncio.get_running_loop().time() == pytest.approx(18, abs=0.1)
    assert [block.get("event") for block in blocks] == ["hello", "end"]


async def test_turn_after_turn_loses_and_doubles_nothing() -> None:
    store = ModelStore()
    store.append("c", "0")
    blocks = await take(store)
    got: list[int] = []
    for i in range(1, 400):
        store.append("c", str(i))
    while len(got) < 399:
        blocks = await take(store, start=resume(blocks))
        new = messages(blocks)
        assert 1 <= len(new) <= MOST_MESSAGES
        got += [message["data"] for message in new]
    assert got == list(range(1, 400))


async def test_a_turn_stays_below_every_body_limit() -> None:
    store = ModelStore(page=64)
    blocks = await take(store)
    for _ in range(200):
        store.append("c", json.dumps("x" * 131_000))
    count = 0
    while count < 200:
        blocks = await take(store, start=resume(blocks))
        size = sum(len(block["data"]) for block in blocks)
        assert size < MOST_BYTES + 132_000 < LOAD_BALANCER / 3
        count += len(messages(blocks))
    assert count == 200


async def test_a_loud_channel_does_not_starve_the_others() -> None:
    store = ModelStore()
    names = [f"c{i}" for i in range(16)]
    for name in names:
        store.append(name, "0")
    begin = resume(await take(store, *names), 16)
    for _ in range(500):
        store.append("c0", json.dumps("x" * 3000))
    for name in names[1:]:
        store.append(name, "1")
    blocks = await take(store, *names, start=begin)
    assert {message["channel"] for message in messages(blocks)} == set(names)


async def test_a_gap_is_something_to_send() -> None:
    store = ModelStore(cap=20)
    begin = resume(await take(store))
    for i in range(60):
        store.append("c", str(i))
    blocks = await take(store, start=begin)
    gap = json.loads(blocks[1]["data"])
    assert gap["reason"] == "trimmed"
    assert gap["missed"] + len(messages(blocks)) == 60


async def test_an_unreachable_store_is_one_end_without_an_id() -> None:
    store = ModelStore(down=True)
    blocks = await take(store)
    assert blocks == [{"retry": "6250", "event": "end", "data": '{"reason":"unavailable"}'}]


async def test_a_store_that_says_nothing_for_a_whole_turn_is_unreachable() -> None:
    store = ModelStore(latency=60)
    blocks = await take(store, lifetime=18)
    assert blocks == [{"retry": "6250", "event": "end", "data": '{"reason":"unavailable"}'}]


class FarAway(ModelStore):
    """Reads of the channel `far` fail where they are for more than its end."""

    broken = True

    async def slice(self, channel: str, *place: Any, **how: Any) -> Slice:
        if self.broken and channel == "far":
            raise StoreUnavailable("broken on purpose")
        return await super().slice(channel, *place, **how)


async def test_only_what_was_handed_over_is_counted() -> None:
    """A turn that has messages and a gap in hand when a read fails says `end` alone."""
    store, channels = FarAway(cap=70), ["new", "cut", "far"]
    begin = resume(await take(store, *channels), 3)
    for channel, count in (("new", 2), ("cut", 90), ("far", 66)):
        for i in range(count):
            store.append(channel, str(i))
    for broken in (True, False):
        store.broken = broken
        feeds = Feeds(store, SETTINGS, store.clock.now)
        async with feeds.open(channels) as opened:
            turn = BufferedResponse(opened, begin, StreamLimits(20, 15, 700, 0.5))
            body = await turn.collect()
        assert turn.served == (b"event: hello" in body) == (not broken)
        assert turn.messages == body.count(b"event: message") + body.count(b'\ndata: {"id"')
        assert feeds.counters.gaps == ({} if broken else {"trimmed": 1})
    assert turn.messages > 60


async def test_history_comes_with_the_first_turn() -> None:
    store = ModelStore()
    for i in range(10):
        store.append("c", str(i))
    blocks = await take(store, start=Start(history=4))
    assert [message["data"] for message in messages(blocks)] == [6, 7, 8, 9]
