"""How often a channel is polled, to the second, on virtual time."""

from __future__ import annotations

import asyncio
from itertools import pairwise

import pytest

from gapless.log.cursor import Position
from gapless.log.entries import Entry
from gapless.log.errors import StoreUnavailable
from gapless.stores.topic import Topic
from gapless.stores.upstash.poll import POLL, POLL_GROWTH, Poller
from tests.stores.contract.publications import Heard
from tests.testkit.alarm import auntil
from tests.testkit.clock import advance
from tests.testkit.strategies import body

pytestmark = pytest.mark.virtual_time


class Log:
    """What is polled: the moments of all reads, and a listener who is told."""

    def __init__(self) -> None:
        self.entries: list[Entry] = []
        self.times: list[float] = []
        self.counts: list[int] = []
        self.broken = False
        self.error: Exception = StoreUnavailable("broken on purpose")
        self.heard = Heard()
        self.topic = Topic("c")
        self.topic.listeners.append(self.heard)

    async def newest(self, channel: str, count: int) -> list[Entry]:
        assert channel == "c"
        self.times.append(asyncio.get_running_loop().time())
        self.counts.append(count)
        if self.broken:
            raise self.error
        return self.entries[-count:]

    def append(self, text: str = "") -> Position:
        before = self.entries[-1].position if self.entries else Position("t9x2k0ab", 0, "0")
        added = Entry(Position(before.epoch, before.seq + 1, f"{before.seq:04}"), before.mark, 1, body(text))
        self.entries.append(added)
        return added.position

    @property
    def pauses(self) -> list[float]:
        return [round(later - earlier, 6) for earlier, later in pairwise(self.times)]


def growing(count: int) -> list[float]:
    """The pauses of a channel that is quiet from now on."""
    pauses, pause = [], POLL[0]
    for _ in range(count):
        pause = min(pause * POLL_GROWTH, POLL[1])
        pauses.append(round(pause, 6))
    return pauses


async def test_a_tick_of_large_messages_reads_only_the_newest() -> None:
    """Nothing may have come: 8 of 60 kB would travel every few seconds for nobody."""
    log = Log()
    for text in ("small", "x" * 60_000, "small", *["small"] * 100):
        for _ in range(8):
            log.append(text)
    log.entries, later = log.entries[:8], log.entries[8:]
    poller = Poller(log.topic, log.newest)
    await advance(1)
    assert log.counts[0] == 1, "nothing is known yet"
    assert log.counts[1:] == [8] * len(log.counts[1:])
    log.entries += later[:8]
    await advance(4.1)
    log.counts.clear()
    await advance(30)
    assert set(log.counts) == {1}
    log.entries += later[8:]
    await advance(5)
    assert log.counts[-1] == 8
    await poller.close()


async def test_a_quiet_channel_is_polled_more_and_more_slowly_up_to_the_bound() -> None:
    log = Log()
    poller = Poller(log.topic, log.newest)
    await asyncio.sleep(60)
    await poller.close()
    assert log.times[0] == 0
    assert log.pauses == growing(len(log.pauses))
    assert log.pauses[-5:] == [POLL[1]] * 5


async def test_a_channel_that_speaks_is_polled_fast_and_told_within_the_bound() -> None:
    log, loop = Log(), asyncio.get_running_loop()
    poller = Poller(log.topic, log.newest)
    await asyncio.sleep(60)
    for _ in range(5):
        posted, at = log.append(), loop.time()
        await auntil(lambda: posted in log.heard.positions, "it is told")  # noqa: B023
        assert loop.time() - at <= POLL[1] + 0.01
        reads = len(log.times)
        await asyncio.sleep(POLL[0] + 0.01)
        assert len(log.times) == reads + 1, "the next read follows soon"
    await poller.close()


async def test_a_channel_of_many_messages_is_read_once_a_tick() -> None:
    log = Log()
    poller = Poller(log.topic, log.newest)
    posted = []
    for _ in range(300):
        posted.append(log.append())
        await asyncio.sleep(0.1)
    await poller.close()
    assert set(log.pauses[1:]) == {POLL[0]}
    assert log.heard.positions[-1] >= posted[-6]


async def test_reads_that_fail_are_tried_again_ever_more_slowly() -> None:
    log = Log()
    poller = Poller(log.topic, log.newest)
    await asyncio.sleep(1)
    log.broken = True
    await asyncio.sleep(60)
    assert log.heard.calls == ["lost"]
    assert log.pauses == growing(len(log.pauses))
    log.broken = False
    await asyncio.sleep(POLL[1])
    assert log.heard.calls == ["lost", "heard"]
    await poller.close()


async def test_a_defect_is_a_failure_like_any_other() -> None:
    log = Log()
    poller = Poller(log.topic, log.newest)
    await advance(0)
    log.error, log.broken = ZeroDivisionError(), True
    await advance(POLL[1])
    assert log.heard.calls[-1] == "lost"
    log.broken = False
    await advance(POLL[1] * 2)
    assert log.heard.calls[-1] == "heard"
    await poller.close()
