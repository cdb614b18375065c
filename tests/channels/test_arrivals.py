"""Messages that come together leave together, in their order, and nobody who asks meanwhile lacks one."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence

import pytest

from gapless.channels.audience import CHUNK, FEW
from gapless.channels.feed import Feed
from gapless.channels.feed_settings import FeedSettings
from gapless.channels.frames import Frame
from gapless.log.entries import Gap
from tests.testkit.clock import advance, settle
from tests.testkit.model_store import ModelStore

pytestmark = pytest.mark.virtual_time

SETTINGS = FeedSettings(recheck=3600, linger=10, retention=86_400, page=64)


class Ear:
    """A reader that keeps what is pushed to it, and when."""

    def __init__(self, feed: Feed) -> None:
        self.position = feed.head
        self.pushes: list[list[int]] = []
        self.times: list[float] = []
        feed.audience.join(self)

    def push(self, frames: Sequence[Frame], block: bytes, now: float) -> None:
        assert frames[0].before == self.position, "pushed over a hole"
        assert block == b"".join(frame.block for frame in frames)
        assert len(block) <= CHUNK or len(frames) == 1
        self.position = frames[-1].position
        self.pushes.append([frame.position.seq for frame in frames])
        self.times.append(now)

    def rewind(self, gap: Gap) -> None:
        raise AssertionError

    def wake(self) -> None:
        raise AssertionError


async def open_feed(store: ModelStore, pause: float = 0) -> tuple[Feed, Ear]:
    store.append("c", "0")
    feed = Feed("c", store, SETTINGS._replace(pause=pause), store.clock.now)
    await feed.ready()
    ear = Ear(feed)
    store.notify = False
    store.calls.clear()
    return feed, ear


async def test_notices_of_one_turn_are_one_push(store: ModelStore) -> None:
    feed, ear = await open_feed(store)
    for number in range(3):
        feed.notice(store.append("c", str(number)))
    assert ear.pushes == []
    await settle()
    assert ear.pushes == [[2, 3, 4]]
    feed.notice(store.append("c", "alone"))
    await settle()
    assert ear.pushes == [[2, 3, 4], [5]]
    await feed.close()


@pytest.mark.parametrize(
    ("readers", "pause", "told"), [(1, 0, True), (FEW, 0, True), (FEW + 1, 0, False), (1, 0.01, False)]
)
async def test_a_few_are_told_when_nothing_more_has_come_and_many_when_the_rest_of_the_turn_is_done(
    store: ModelStore, readers: int, pause: float, told: bool
) -> None:
    feed, ear = await open_feed(store, pause)
    ears = [ear, *(Ear(feed) for _ in range(readers - 1))]
    for number in range(2):
        feed.notice(store.append("c", str(number)))
    assert ear.pushes == []
    feed._follower.all_told()
    assert [one.pushes for one in ears] == [[[2, 3]] if told else []] * readers
    await settle()
    assert [one.pushes for one in ears] == [[[2, 3]]] * readers
    await feed.close()


async def test_those_that_overtook_each_other_are_in_order_and_cost_no_read(store: ModelStore) -> None:
    feed, ear = await open_feed(store)
    told = [store.append("c", str(number)) for number in range(4)]
    for one in (told[2], told[0], told[3], told[1], told[0]):
        feed.notice(one)
    await settle()
    assert ear.pushes == [[2, 3, 4, 5]]
    await advance(1)
    assert not store.calls
    await feed.close()


async def test_who_asks_has_what_was_told_of_already(store: ModelStore) -> None:
    """A reader that looks and then listens, with no turn of the loop between, must not miss what waits."""
    feed, ear = await open_feed(store)
    start = feed.head
    feed.notice(store.append("c", "1"))
    held = feed.peek(start)
    assert held is not None and [frame.position.seq for frame in held.frames] == [2]
    assert ear.pushes == [[2]]
    await settle()
    assert ear.pushes == [[2]], "once"
    await feed.close()


async def test_with_a_pause_a_message_waits_for_others_but_not_for_longer(store: ModelStore) -> None:
    feed, ear = await open_feed(store, pause=1.0)
    began = asyncio.get_running_loop().time()
    for number in range(25):
        feed.notice(store.append("c", str(number)))
        await advance(0.11)
    await advance(1)
    assert [len(push) for push in ear.pushes] == [1, 9, 9, 6], "the first at once, and then one batch a second"
    assert [round(time - began, 3) for time in ear.times] == [0, 1, 2, 3]
    await feed.close()


async def test_many_bytes_leave_in_chunks(store: ModelStore) -> None:
    feed, ear = await open_feed(store)
    for _ in range(5):
        feed.notice(store.append("c", f'"{"x" * 30_000}"'))
    await settle()
    assert ear.pushes == [[2, 3], [4, 5], [6]]
    await feed.close()


async def test_a_closed_feed_pushes_nothing_more(store: ModelStore) -> None:
    feed, ear = await open_feed(store)
    feed.notice(store.append("c", "1"))
    await feed.close()
    await settle()
    assert ear.pushes == []
