"""Notices dropped, doubled, delayed and reordered on purpose: at most delay, within the recheck."""

from __future__ import annotations

import asyncio
import random
import time
from collections.abc import Sequence
from typing import Any

import pytest

from gapless.channels.feed import Feed
from gapless.channels.feed_settings import FeedSettings
from gapless.channels.frames import Frame
from gapless.log.cursor import Position
from gapless.log.entries import Entry
from gapless.log.store import Listener, Room, Store, Subscription
from tests.stores.contract.backend import Backend
from tests.stores.contract.conftest import Open
from tests.stores.contract.publications import entries, publication
from tests.testkit.alarm import auntil

RECHECK = 0.3
"""Seconds: the bound that is stated for a lost notice."""
ROUND = 0.5
"""Seconds that a read itself may take here; generous, and still far below the alarm."""
MESSAGES = 30
ROOM = Room(100, 65_536)

Told = Sequence[Entry] | Position


class Mischief:
    """Stands between the store and a listener; `hits` counts what it did. Fair to nobody, but always the same."""

    def __init__(self, listener: Listener) -> None:
        self.listener = listener
        self.hits = 0
        self.dice = random.Random(1)
        self.lost = listener.lost
        self.heard = listener.heard
        self.all_told = listener.all_told

    def notice(self, told: Told) -> None:
        if self.dice.random() < 0.5:
            self.hits += 1
            self.play(told)
        else:
            self.listener.notice(told)

    def play(self, told: Told) -> None:
        raise NotImplementedError


class Dropped(Mischief):
    def play(self, told: Told) -> None:
        pass


class AllDropped(Dropped):
    def notice(self, told: Told) -> None:
        self.hits += 1


class Doubled(Mischief):
    def play(self, told: Told) -> None:
        self.listener.notice(told)
        self.listener.notice(told)


class Delayed(Mischief):
    def play(self, told: Told) -> None:
        asyncio.get_running_loop().call_later(self.dice.random() * RECHECK, self.listener.notice, told)


class Reordered(Mischief):
    held: Told | None = None

    def play(self, told: Told) -> None:
        self.held, before = told, self.held
        if before is not None:
            self.listener.notice(before)


class Forged(Mischief):
    """Others speak on the same topic: of messages that nobody wrote, under numbers that somebody did."""

    def play(self, told: Told) -> None:
        self.listener.notice(told)
        if not isinstance(told, Position):
            place = told[-1].position
            self.listener.notice([Entry(place._replace(seq=place.seq + 2, mark="zzzz"), "yyyy", 1, told[-1].body)])
            self.listener.notice(Position("zzzzzzzz", 9, "zzzz"))


class Meddled:
    """The store, with somebody between it and its listeners."""

    def __init__(self, store: Store, kind: type[Mischief]) -> None:
        self._store = store
        self._kind = kind
        self.mischief: list[Mischief] = []

    async def subscribe(self, channel: str, listener: Listener) -> Subscription:
        self.mischief.append(self._kind(listener))
        return await self._store.subscribe(channel, self.mischief[-1])

    def __getattr__(self, name: str) -> Any:
        return getattr(self._store, name)


class Reader:
    """Takes everything at once, and asks where it is told to."""

    def __init__(self, feed: Feed) -> None:
        self.feed = feed
        self.position = feed.head
        self.got: list[Position] = []
        self.gaps: list[object] = []
        self.tasks: set[asyncio.Task[None]] = set()
        feed.audience.join(self)

    def push(self, frames: Sequence[Frame], block: bytes, now: float) -> None:
        if frames[0].entry.before == self.position:
            self._take(frames)

    def rewind(self, gap: object) -> None:
        self.gaps.append(gap)

    def wake(self) -> None:
        task = asyncio.create_task(self._ask())
        self.tasks.add(task)
        task.add_done_callback(self.tasks.discard)

    async def _ask(self) -> None:
        while (stretch := await self.feed.after(self.position, ROOM)).frames:
            if stretch.frames[0].entry.before != self.position:
                return  # a push was faster
            self._take(stretch.frames)
        if stretch.gap is not None:
            self.gaps.append(stretch.gap)

    def _take(self, frames: Sequence[Frame]) -> None:
        self.got += [frame.position for frame in frames]
        self.position = frames[-1].position


@pytest.mark.parametrize("mischief", [Dropped, AllDropped, Doubled, Delayed, Reordered, Forged])
async def test_mischief_costs_delay_and_nothing_else(
    servers: Backend, open_store: Open, mischief: type[Mischief]
) -> None:
    store = Meddled(open_store(cap=1000), mischief)
    there = open_store(cap=1000)
    await there.publish(publication("c", "before"))
    feed = Feed("c", store, FeedSettings(RECHECK, 0, 3600, 50), time.time)
    try:
        await feed.ready()
        reader, posted = Reader(feed), []
        for number in range(MESSAGES):
            posted += [entry.position for entry in entries(await there.publish(publication("c", number)))]
        async with asyncio.timeout((RECHECK + ROUND) * 5):
            await auntil(lambda: len(reader.got) >= MESSAGES, "everything was read", alarm=60)
        assert reader.got == posted
        assert reader.gaps == []
        assert sum(one.hits for one in store.mischief) > 5
    finally:
        await feed.close()
