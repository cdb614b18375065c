"""Signals, receipts and presence beside the messages of a stream, on virtual time. (docs/protocol.md, section 9)"""

from __future__ import annotations

import asyncio
import gc
import json
from contextlib import suppress
from typing import Any
from weakref import ref

import pytest

from gapless.channels.feed_settings import FeedSettings
from gapless.channels.feeds import Feeds
from gapless.delivery.buffered import MOST_ASIDE
from gapless.delivery.end import End
from gapless.delivery.session import Extras, Start, StreamLimits
from gapless.delivery.streaming import Stream
from gapless.log.cursor import Position, parse_cursor
from gapless.log.namespaces import Feature
from gapless.log.receipts import Marks, Receipt
from gapless.log.signals import Signal
from tests.testkit.clock import advance, settle
from tests.testkit.event_stream import Event
from tests.testkit.extras_reader import Reader, kinds, reading, resume, turn
from tests.testkit.model_store import ModelStore

pytestmark = pytest.mark.virtual_time


# --- section 9: signals


def signal(number: int = 1) -> bytes:
    return Signal("c", f"{number:012}", b'{"channel":"c","event":"typing"}', 0).notice


async def test_a_signal_comes_at_once_and_moves_nothing() -> None:
    store = ModelStore()
    store.append("c", "1")
    async with reading(store, extras=Extras()) as reader:
        store.tell_aside("c", signal())
        store.tell_aside("c", signal())
        await settle()
        assert reader.kinds == ["hello", "message", "signal"], "and once"
        assert reader.events[-1].last_event_id == reader.events[-2].last_event_id


async def test_a_stream_that_is_behind_loses_signals_and_no_message() -> None:
    store, reader = ModelStore(), Reader()
    store.append("c", "0")
    async with reading(store, start=Start(), extras=Extras(), reader=reader):
        reader.open.clear()
        for i in range(3):
            store.append("c", str(i))
            store.tell_aside("c", signal(i))
        await settle()
        reader.open.set()
        await settle()
        assert reader.kinds == ["hello", *["message"] * 3]
        store.tell_aside("c", signal(9))
        await settle()
        assert reader.kinds[-1] == "signal"


async def test_a_reader_that_comes_back_sees_no_signal_twice() -> None:
    store = ModelStore()
    async with reading(store, extras=Extras()) as reader:
        store.tell_aside("c", signal())
        await settle()
        begin = Start(cursor=parse_cursor(reader.events[-1].last_event_id, 1))
    async with reading(store, start=begin, extras=Extras()) as reader:
        assert reader.kinds == ["hello"]


async def test_a_signal_ends_a_turn() -> None:
    store = ModelStore()
    blocks = await turn(store, start=Start())
    waiting = asyncio.create_task(turn(store, start=resume(blocks)))
    await advance(7)
    store.tell_aside("c", signal())
    await settle()
    assert kinds(waiting.result()) == ["hello", "signal", "end"]
    assert resume(waiting.result()) == resume(blocks)
    store.append("c", "1")
    assert kinds(await turn(store, start=resume(waiting.result()))) == ["hello", "message", "live", "end"]


async def test_many_signals_do_not_swell_a_turn() -> None:
    store = ModelStore()
    blocks = await turn(store, start=Start())
    waiting = asyncio.create_task(turn(store, start=resume(blocks)))
    await advance(7)
    for number in range(5000):
        store.tell_aside("c", signal(number))
    await settle()
    found = [event for event in waiting.result() if event.type == "signal"]
    assert 0 < sum(len(event.data) for event in found) <= MOST_ASIDE


# --- section 9: receipts


RECEIPTS = Extras(receipts=True)


async def read_up_to(store: ModelStore, seq: int, user: str = "ann", channel: str = "c") -> None:
    mark = Position("t9x2k0ab", seq, "m4ez")
    await store.raise_marks(Receipt(channel, user, Marks(mark, mark), 0))


def read_marks(event: Event) -> dict[str, int]:
    return {user: int(one["read"].split("-")[1]) for user, one in json.loads(event.data)["receipts"].items()}


async def test_receipts_come_whole_after_what_was_there_and_then_as_they_change() -> None:
    store = ModelStore()
    store.append("c", "1", "2")
    await read_up_to(store, 1)
    async with reading(store, extras=RECEIPTS) as reader:
        await read_up_to(store, 2, "bob")
        store.append("c", "3")
        await advance(1)
        assert reader.kinds == ["hello", "message", "message", "receipt", "message", "receipt"]
        told = [event for event in reader.events if event.type == "receipt"]
        assert [read_marks(event) for event in told] == [{"ann": 1}, {"bob": 2}]
        assert b"receipt\nid:" not in reader.body


async def test_a_stream_that_was_behind_gets_them_whole_when_it_is_level_again() -> None:
    store, reader = ModelStore(), Reader()
    store.append("c", "0")
    async with reading(store, start=Start(), extras=RECEIPTS, reader=reader):
        reader.open.clear()
        store.append("c", "1")
        for seq in range(1, 9):
            await read_up_to(store, seq, f"user {seq}")
            await advance(1)
        reader.open.set()
        await advance(1)
        assert reader.kinds == ["hello", "receipt", "message", "receipt"]
        assert read_marks(reader.events[-1]) == {f"user {seq}": seq for seq in range(1, 9)}
        store.append("c", "2")
        await settle()
        assert reader.kinds[-1] == "message", "it is live again"


@pytest.mark.parametrize("trouble", ["down", "stuck"])
async def test_receipts_that_can_not_be_read_harm_no_message(trouble: str) -> None:
    store = ModelStore()
    store.append("c", "1")
    store.marks_trouble = trouble
    async with reading(store, extras=RECEIPTS) as reader:
        for number in range(40):
            store.append("c", str(number))
            await advance(1)
        assert reader.kinds == ["hello", *["message"] * 41]


async def test_receipts_ride_along_in_a_turn_and_never_end_it() -> None:
    store = ModelStore()
    store.append("c", "1")
    await read_up_to(store, 1)
    blocks = await turn(store, start=Start(), extras=RECEIPTS)
    waiting = asyncio.create_task(turn(store, start=resume(blocks), extras=RECEIPTS))
    await advance(3)
    await read_up_to(store, 1, "bob")
    await advance(3)
    assert not waiting.done()
    store.append("c", "2")
    await settle()
    assert kinds(waiting.result()) == ["hello", "message", "receipt", "end"]
    assert read_marks(waiting.result()[2]) == {"ann": 1, "bob": 1}


async def test_the_receipts_of_many_channels_do_not_swell_a_turn() -> None:
    store = ModelStore()
    names = [f"c{number}" for number in range(16)]
    for name in names:
        store.append(name, "1")
        for number in range(100):
            await read_up_to(store, 1, f"user {number}", name)
    blocks = await turn(store, *names, start=Start())
    waiting = asyncio.create_task(turn(store, *names, start=resume(blocks, 16), extras=RECEIPTS))
    await advance(3)
    store.append("c0", "2")
    await settle()
    found = [event for event in waiting.result() if event.type == "receipt"]
    assert 1 <= len(found) < 16
    assert sum(len(event.data) for event in found) <= MOST_ASIDE + 512


# --- section 9: presence


def there(user: str | None = None) -> Extras:
    return Extras(presence=True, user=user)


def users_told(events: list[Event]) -> list[Any]:
    return [json.loads(event.data) for event in events if event.type == "presence"]


async def test_presence_comes_whole_and_then_as_it_changes() -> None:
    store = ModelStore()
    async with reading(store, start=Start(), extras=there("ann")) as ann:
        await advance(3)
        async with reading(store, start=Start(), extras=there()) as watches:
            async with reading(store, start=Start(), extras=there("bob")):
                await advance(3)
            await advance(300)
            told = users_told(watches.events)
            assert (told[0]["users"], told[0]["count"]) == (["ann"], 1)
            assert [(one["joined"], one["left"]) for one in told[1:]] == [(["bob"], []), ([], ["bob"])]
            assert b"presence\nid:" not in watches.body
        assert "presence" in ann.kinds


async def test_a_stream_that_the_service_ends_takes_nobody_off() -> None:
    store = ModelStore()
    async with reading(store, start=Start(), extras=there("ann")):
        await advance(3)
        written = dict(store.leases["c"])
    assert written
    assert store.leases["c"] == written, "a minute later"


async def test_a_client_that_goes_is_taken_off_though_the_feed_has_no_reader_left() -> None:
    store = ModelStore()
    feeds = Feeds(store, FeedSettings(15, 10, 86_400, 64, features=tuple(Feature)), store.clock.now)

    async def read_and_go() -> None:
        async with feeds.open(["c"]) as opened:
            reader = Reader()
            stream = Stream(opened, Start(), StreamLimits(240, 15, 700, 0.5), there("ann"))
            await stream.run(reader.send)

    task = asyncio.create_task(read_and_go())
    await advance(3)
    task.cancel()
    with suppress(asyncio.CancelledError):
        await task
    await advance(14)
    assert store.leases["c"]
    await advance(2)
    assert not store.leases["c"]
    await feeds.close()


async def test_a_stream_that_is_over_leaves_nothing_to_the_collector() -> None:
    """It holds the loop for as long as it frees: 2,000 streams that end at once took it 100 ms."""
    feeds = Feeds(ModelStore(), FeedSettings(15, 10, 86_400, 64, features=tuple(Feature)), lambda: 0.0)
    gc.disable()
    try:
        async with feeds.open(["c", "d"]) as opened:
            stream = Stream(opened, Start(), StreamLimits(240, 15, 700, 0.5), there("ann"))
            task = asyncio.create_task(stream.run(Reader().send))
            await settle()
            stream.stop(End.DEADLINE)
            await task
            over = ref(stream)
            del stream, task
            assert over() is None
    finally:
        gc.enable()
    await feeds.close()


async def test_presence_rides_along_in_turns_at_a_renewal_every_two_minutes() -> None:
    store = ModelStore()
    store.append("c", "1")
    blocks = await turn(store, start=Start(), extras=there("ann"))
    blocks = await turn(store, start=resume(blocks), extras=there("ann"))
    store.calls.clear()
    for _ in range(30):
        blocks = await turn(store, start=resume(blocks), extras=there("ann"))
        assert users_told(blocks)[-1]["users"] == ["ann"]
    assert store.calls["attend"] <= 2 * 30
    assert store.calls["zadd"] <= 600 / 60
    assert store.calls["told"] == 0


@pytest.mark.parametrize("trouble", ["down", "stuck"])
async def test_presence_that_can_not_be_read_harms_no_message(trouble: str) -> None:
    store = ModelStore()
    store.append("c", "1")
    store.marks_trouble = trouble
    async with reading(store, extras=there("ann")) as reader:
        for number in range(40):
            store.append("c", str(number))
            await advance(1)
        assert reader.kinds == ["hello", *["message"] * 41]
