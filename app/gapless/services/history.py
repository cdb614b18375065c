"""History: the newest messages of a channel, those before one, and those after a position, which may be waited for."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Coroutine, Sequence
from typing import Any, TypeVar

from gapless.auth.rates import TRAFFIC_UNIT
from gapless.channels.feed import Feed
from gapless.channels.feeds import Feeds, Visitor
from gapless.channels.frames import Frame, first_that_fit, last_that_fit
from gapless.log.cursor import Position
from gapless.log.entries import Gap
from gapless.log.store import NEWEST, SLICE, Room, Store
from gapless.runtime.request import STORE, WAIT, timed
from gapless.services import pages
from gapless.services.pages import Page
from gapless.services.waiting import news

T = TypeVar("T")


class History:
    """Reads any channel in pages of at most `size` bytes, but at least one message. `clock` tells Unix seconds.

    Who reads pays for the commands and bytes; None: the process's own code. Every method raises StoreUnavailable.
    """

    def __init__(self, store: Store, feeds: Feeds, clock: Callable[[], float], size: int) -> None:
        self._store = store
        self._feeds = feeds
        self._clock = clock
        self._size = size

    async def newest(self, channel: str, limit: int, visitor: Visitor | None = None) -> Page:
        """The newest `limit` messages: from a feed that is open for nothing, else from the log."""
        room = Room(limit, self._size)
        page = self._held(channel, room)
        if page is None:
            _charge(visitor, NEWEST)
            self._feeds.counters.reads["page"] += 1
            with timed(STORE):
                page = await pages.newest(self._store, channel, room, self._clock())
        return _charged(visitor, page)

    async def before(self, channel: str, position: Position, limit: int, visitor: Visitor | None = None) -> Page:
        """At most `limit` messages just before the one at `position`; a gap where that one's history is gone."""
        _charge(visitor, SLICE)
        self._feeds.counters.reads["page"] += 1
        with timed(STORE):
            page = await pages.before(self._store, channel, position, Room(limit, self._size), self._clock())
        return _charged(visitor, page)

    async def after(
        self, channel: str, position: Position | None, limit: int, patience: float = 0, visitor: Visitor | None = None
    ) -> Page:
        """At most `limit` messages after `position`, as a stream would send them; None: a cursor that says nothing.

        Where there is nothing yet it is waited for, for `patience` seconds. Raises Busy where too many read.
        """
        room, until = Room(limit, self._size), asyncio.get_running_loop().time() + patience
        async with self._feeds.open([channel], visitor) as [feed]:
            if position is None:
                return await _after_gap(feed, await _timed(feed.unknown()), room)
            return await _after(feed, position, room, until)

    async def oldest(self, channel: str, limit: int, patience: float = 0, visitor: Visitor | None = None) -> Page:
        """At most `limit` messages from the oldest on, after a gap where older ones were trimmed; else as `after`."""
        room, until = Room(limit, self._size), asyncio.get_running_loop().time() + patience
        async with self._feeds.open([channel], visitor) as [feed]:
            return await _after(feed, await _timed(feed.beginning()), room, until)

    def _held(self, channel: str, room: Room) -> Page | None:
        feed = self._feeds.warm(channel)
        held = None if feed is None else feed.newest(room.messages)
        return None if feed is None or held is None else Page(last_that_fit(held, room), feed.head)


async def _after(feed: Feed, position: Position, room: Room, until: float) -> Page:
    """What comes after `position`; where there is nothing yet, it is waited for until loop time `until`."""
    result = await _timed(feed.after(position, room))
    if not result.frames and result.gap is None:
        with timed(WAIT):
            await news(feed, position, until)
        result = await _timed(feed.after(position, room))
    if result.gap is not None:
        return await _after_gap(feed, result.gap, room)
    return _page(result.frames, room, position)


async def _after_gap(feed: Feed, gap: Gap, room: Room) -> Page:
    result = await _timed(feed.after(gap.resume, room))
    return _page(result.frames, room, gap.resume, gap)


async def _timed(asked: Coroutine[Any, Any, T]) -> T:
    """What a feed says. It asks the store where it does not hold that itself."""
    with timed(STORE):
        return await asked


def _page(found: Sequence[Frame], room: Room, position: Position, gap: Gap | None = None) -> Page:
    chosen = first_that_fit(found, room)
    return Page(chosen, chosen[-1].position if chosen else position, gap)


def _charged(visitor: Visitor | None, page: Page) -> Page:
    _charge(visitor, sum(frame.size for frame in page.frames) // TRAFFIC_UNIT)
    return page


def _charge(visitor: Visitor | None, commands: float) -> None:
    if visitor is not None:
        visitor.pay(commands)
