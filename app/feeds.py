"""The feeds of a process: one per channel, opened with its first reader, kept warm for a while after its last."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Callable, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass

from app.errors import Busy
from app.events import Entry
from app.feed import Feed, FeedSettings
from app.store import Store

RETRY_AFTER = 5.0
"""Seconds after which whoever found no room may ask again."""


@dataclass(frozen=True, slots=True)
class Most:
    """What a process may have open at once: readers, and channels that are read."""

    readers: int = 10_000
    channels: int = 2000


class Feeds:
    """Hands out feeds. `wall` tells Unix seconds."""

    def __init__(
        self, store: Store, settings: FeedSettings, wall: Callable[[], float], most: Most | None = None
    ) -> None:
        self._most = most or Most()
        self._store = store
        self._settings = settings
        self._wall = wall
        self._feeds: dict[str, Feed] = {}
        self._users: dict[Feed, int] = {}
        self._closing: dict[Feed, asyncio.TimerHandle] = {}
        self._tasks: set[asyncio.Task[None]] = set()
        self._open = 0

    @asynccontextmanager
    async def open(self, channels: Sequence[str]) -> AsyncIterator[list[Feed]]:
        """The feeds of these channels, for as long as the block runs. They may not be ready yet.

        Raises Busy, before anything is opened, where there would be more readers or channels than there may.
        """
        if self._open >= self._most.readers or not self._has_room(channels):
            raise Busy("This process serves as many readers as it may; come back in a moment.", RETRY_AFTER)
        feeds = [self._take(channel) for channel in channels]
        self._open += 1
        try:
            yield feeds
        finally:
            self._open -= 1
            for feed in feeds:
                self._release(feed)
            if self._settings.linger == 0 and self._tasks:  # a platform that freezes: leave nothing behind
                await asyncio.wait(self._tasks)

    def offer(self, channel: str, entries: Sequence[Entry]) -> None:
        """The reply of a publish is a notice to this process's own feed, where there is one."""
        if (feed := self._feeds.get(channel)) is not None:
            feed.notice(entries)

    def warm(self, channel: str) -> Feed | None:
        """The feed of a channel where one is open and well."""
        feed = self._feeds.get(channel)
        return None if feed is None or feed.failure is not None else feed

    def _has_room(self, channels: Sequence[str]) -> bool:
        """Whether these channels can be read too; feeds that only linger make way, the oldest first."""
        over = len(self._feeds) + sum(channel not in self._feeds for channel in channels) - self._most.channels
        idle = [feed for feed in self._closing if feed.channel not in channels][: max(over, 0)]
        if len(idle) < over:
            return False
        for feed in idle:
            self._closing[feed].cancel()
            self._retire(feed)
        return True

    async def close(self) -> None:
        """Close every feed, now."""
        for timer in self._closing.values():
            timer.cancel()
        self._closing.clear()
        feeds, self._feeds = list(self._feeds.values()), {}
        await asyncio.gather(*(feed.close() for feed in feeds), *self._tasks)

    def _take(self, channel: str) -> Feed:
        feed = self.warm(channel)
        if feed is None:
            feed = self._feeds[channel] = Feed(channel, self._store, self._settings, self._wall)
        elif self._settings.freezes and feed not in self._users:
            feed.doubt()
        self._users[feed] = self._users.get(feed, 0) + 1
        if (timer := self._closing.pop(feed, None)) is not None:
            timer.cancel()
        return feed

    def _release(self, feed: Feed) -> None:
        self._users[feed] -= 1
        if self._users[feed] > 0:
            return
        del self._users[feed]
        if feed.failure is not None or self._settings.linger == 0:
            self._retire(feed)
        else:
            loop = asyncio.get_running_loop()
            self._closing[feed] = loop.call_later(self._settings.linger, self._retire, feed)

    def _retire(self, feed: Feed) -> None:
        self._closing.pop(feed, None)
        if self._feeds.get(feed.channel) is feed:
            del self._feeds[feed.channel]
        task = asyncio.create_task(feed.close())
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)
