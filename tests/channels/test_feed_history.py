"""What a feed says of history that was rewritten, wiped or trimmed, or that it has not read yet."""

from __future__ import annotations

import asyncio
from contextlib import suppress

import pytest

from gapless.log.cursor import Position
from gapless.log.entries import Gap, GapReason
from tests.channels.test_feed import ROOM, Ear, open_feed
from tests.testkit.clock import advance, settle
from tests.testkit.model_store import ModelStore

pytestmark = pytest.mark.virtual_time


async def test_rewritten_history_with_notices_resets_at_the_fork(store: ModelStore) -> None:
    store.append("c", *"01234")
    feed = await open_feed(store)
    ear = Ear(feed)
    store.append("c", "5", "6")
    store.forget_last("c", 3)
    new = store.append("c", "7", "8", "9", "10")
    await settle()
    assert [gap.reason for gap in ear.gaps] == [GapReason.RESET]
    assert ear.gaps[0].resume == new[0].before
    assert ear.gaps[0].oldest == new[0].position
    stretch = await feed.after(ear.position, ROOM)
    assert [frame.entry for frame in stretch.frames] == new
    await feed.close()


async def test_rewritten_history_whose_first_notices_are_lost_is_not_hidden(store: ModelStore) -> None:
    """The next message fits by number: only the mark before it tells."""
    store.append("c", *"01234")
    feed = await open_feed(store)
    ear = Ear(feed)
    store.append("c", "5")
    store.forget_last("c", 1)
    store.notify = False
    hidden = store.append("c", "other")
    store.notify = True
    store.append("c", "7")
    await settle()
    assert ear.got == [6]
    assert ear.gaps and ear.gaps[0].resume == hidden[0].before
    await feed.close()


async def test_lost_writes_on_a_channel_that_stays_quiet_are_told(store: ModelStore) -> None:
    store.append("c", *"01234")
    feed = await open_feed(store)
    ear = Ear(feed)
    store.append("c", "5")
    store.forget_last("c", 1)
    await advance(7.5)
    assert [gap.reason for gap in ear.gaps] == [GapReason.RESET]
    assert ear.gaps[0].resume == store.logs["c"][-1].position
    await feed.close()


async def test_a_wiped_log_is_told(store: ModelStore) -> None:
    store.append("c", *"01234")
    feed = await open_feed(store)
    ear = Ear(feed)
    store.wipe("c")
    await advance(19)
    assert [gap.reason for gap in ear.gaps] == [GapReason.RESET]
    assert ear.gaps[0].oldest is None
    await feed.close()


async def test_nothing_new_is_said_only_by_a_tail_that_knows_the_place(store: ModelStore) -> None:
    """Whoever asked again at once would ask for ever, and keep everybody else from their turn."""
    store.append("c", "1", "2", "3")
    feed = await open_feed(store)
    store.notify = False
    store.forget_last("c", 2)
    newest = store.append("c", "22", "33")[-1].position
    asking = asyncio.create_task(feed.after(newest, ROOM))
    await settle()
    assert not asking.done()
    await advance(1.1)
    assert (await asking).frames == []
    assert feed.peek(newest) is not None
    await feed.close()


async def test_a_wiped_and_rewritten_log_is_told(store: ModelStore) -> None:
    store.append("c", *"01234")
    feed = await open_feed(store)
    ear = Ear(feed)
    await advance(2)
    store.wipe("c")
    new = store.append("c", "new")
    await settle()
    assert [(gap.reason, gap.oldest) for gap in ear.gaps] == [(GapReason.RESET, new[0].position)]
    stretch = await feed.after(ear.position, ROOM)
    assert [frame.entry for frame in stretch.frames] == new
    await feed.close()


async def test_a_lagging_replica_causes_no_reset(store: ModelStore) -> None:
    store.append("c", *"01234")
    await advance(5)
    feed = await open_feed(store)
    ear = Ear(feed)
    store.lag = 2.0
    for round_ in range(30):
        store.notify = round_ % 3 != 0
        store.append("c", "x")
        await advance(0.3)
    store.notify = True
    store.append("c", "last")
    await advance(20)
    assert not ear.gaps
    assert ear.got == list(range(6, 37))
    await feed.close()


async def test_a_position_past_the_head_is_read_for_then_served(store: ModelStore) -> None:
    store.append("c", "0")
    feed = await open_feed(store)
    store.notify = False
    mine = store.append("c", "1")[0]
    stretch = await feed.after(mine.position, ROOM)
    assert stretch.gap is None
    assert not stretch.frames
    await feed.close()


@pytest.mark.parametrize("ahead", [Position("zzzzzz00", 5, "aaaa"), None])
async def test_a_position_past_the_head_for_three_seconds_is_reset(store: ModelStore, ahead: Position | None) -> None:
    store.append("c", "0", "1")
    feed = await open_feed(store)
    loop = asyncio.get_running_loop()
    began = loop.time()
    async with asyncio.timeout(60):
        stretch = await feed.after(ahead or feed.head._replace(seq=99), ROOM)
    assert stretch.gap is not None
    assert stretch.gap.reason is GapReason.RESET
    assert stretch.gap.resume == store.logs["c"][0].before
    assert 3 <= loop.time() - began < 5
    await feed.close()


@pytest.mark.parametrize("ahead", [Position("zzzzzz00", 5, "aaaa"), None])
async def test_nor_does_it_wait_for_ever_where_its_readers_connections_all_end_sooner(
    store: ModelStore, ahead: Position | None
) -> None:
    store.append("c", "0", "1")
    feed = await open_feed(store)
    position = ahead or feed.head._replace(seq=99)
    loop = asyncio.get_running_loop()
    began, connections = loop.time(), 0
    stretch = None
    while stretch is None and connections < 50:
        connections += 1
        with suppress(TimeoutError):
            async with asyncio.timeout(0.3):
                stretch = await feed.after(position, ROOM)
        await advance(0.1)
    assert stretch is not None and stretch.gap is not None
    assert stretch.gap.reason is GapReason.RESET
    assert connections > 5
    assert 3 <= loop.time() - began < 5
    await feed.close()


async def test_one_that_the_log_has_when_its_reader_comes_back_is_no_reset(store: ModelStore) -> None:
    store.append("c", "0")
    feed = await open_feed(store)
    store.notify = False
    late = store.append("c", "1", "2")
    hidden, store.logs["c"] = store.logs["c"][-1:], store.logs["c"][:-1]  # as a replica that lags shows it
    with suppress(TimeoutError):
        async with asyncio.timeout(2.5):
            await feed.after(late[-1].position, ROOM)
    store.logs["c"] += hidden
    await advance(4)
    store.notify = True
    later = store.append("c", "3")
    stretch = await feed.after(late[-1].position, ROOM)
    assert (stretch.gap, [frame.entry for frame in stretch.frames]) == (None, later)
    await feed.close()


async def test_the_right_seq_with_another_mark_is_reset_at_once(store: ModelStore) -> None:
    store.append("c", "0", "1")
    feed = await open_feed(store)
    stretch = await feed.after(feed.head._replace(mark="zzzz"), ROOM)
    assert stretch.gap is not None
    assert stretch.gap.reason is GapReason.RESET
    await feed.close()


async def test_trimmed_messages_are_counted(store: ModelStore) -> None:
    store.cap = 20
    first = store.append("c", "0")[0]
    for _ in range(199):
        store.append("c", "1")
    feed = await open_feed(store)
    stretch = await feed.after(first.position, ROOM)
    oldest = store.logs["c"][0]
    assert stretch.gap == Gap(
        GapReason.TRIMMED, oldest.before, oldest.position, store.logs["c"][-1].position, oldest.position.seq - 2
    )
    await feed.close()
