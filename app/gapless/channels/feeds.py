"""The feeds of a process. A feed is opened with its first reader, and kept for a while after its last reader."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Sequence
from contextlib import AbstractAsyncContextManager, nullcontext
from functools import partial
from typing import NamedTuple

from gapless.auth.rates import Shares, Who
from gapless.channels.audience import FEW, Audience, MakeAudience
from gapless.channels.feed import Feed
from gapless.channels.feed_settings import FeedSettings
from gapless.channels.paying import Pay, paid_by
from gapless.channels.turns import Turn, Turns
from gapless.log.entries import Entry
from gapless.log.errors import Busy
from gapless.log.namespaces import Namespaces
from gapless.log.store import Store
from gapless.runtime.counters import Counters

RETRY_AFTER = 5.0
"""Seconds after which a client that found no room may ask again."""


BEGUN = 3
"""Commands that a feed costs which was not there: SUBSCRIBE, a read, and a second one where replicas lag."""


class Capacity(NamedTuple):
    """What a process may have open at once: readers, and channels that are read.

    `user`, `network`: the part of both that one of them may have. Of the readers' part a stream takes as many places as
    it has channels. A client that has nothing else may always open one stream of `LEAST` channels.
    """

    readers: int = 10_000
    channels: int = 2000
    user: float = 1.0
    network: float = 1.0

    def share(self, part: float) -> Shares:
        """What one may have of it."""
        return Shares(*(max(LEAST, int(whole * part)) for whole in (self.readers, self.channels)))


LEAST = 16


class Visitor(NamedTuple):
    """The user and address of a reader, which pay for its reads of the store."""

    who: Who
    pay: Pay


class Feeds:
    """Opens, shares and closes the feeds of a process. `clock`: Unix seconds. `audience`: makes that of a channel."""

    def __init__(
        self,
        store: Store,
        settings: FeedSettings,
        clock: Callable[[], float],
        capacity: Capacity | None = None,
        namespaces: Namespaces | None = None,
        counters: Counters | None = None,
        audience: Callable[[str], MakeAudience] | None = None,
    ) -> None:
        self.counters = counters or Counters()
        self._capacity = capacity or Capacity()
        self._store = store
        self._settings = settings
        self._namespaces = namespaces
        self._audience = audience
        self._clock = clock
        self._feeds: dict[str, Feed] = {}
        self._users: dict[Feed, int] = {}
        self._closing: dict[Feed, asyncio.TimerHandle] = {}
        self._tasks: set[asyncio.Task[None]] = set()
        self._turns = Turns()
        self._open = 0
        self._by_user, self._by_network = (
            self._capacity.share(self._capacity.user),
            self._capacity.share(self._capacity.network),
        )

    def __len__(self) -> int:
        """How many channels are read."""
        return len(self._feeds)

    def open(self, channels: Sequence[str], visitor: Visitor | None = None) -> AbstractAsyncContextManager[list[Feed]]:
        """The feeds of these channels, for as long as the block runs. They may not be ready yet.

        Raises Busy, before anything is opened, where there would be more readers or channels than there may, or than
        this visitor may have. None: one of our own.
        """
        return _Places(self, channels, visitor)

    def _enter(self, channels: Sequence[str], visitor: Visitor | None) -> list[Feed]:
        shares = self._shares_of(visitor)
        if not all(share.fit(name, channels) for share, name in shares):
            raise Busy("You have as many streams and channels open here as one may; close some.", RETRY_AFTER)
        if self._open >= self._capacity.readers or not self._has_room(channels):
            raise Busy("This process serves as many readers as it may; come back in a moment.", RETRY_AFTER)
        if visitor is not None:
            visitor.pay(BEGUN * sum(self.warm(channel) is None for channel in channels))
        for share, name in shares:
            share.take(name, channels)
        self._open += 1
        turn = self._turn_of(visitor)
        return [self._take(channel, turn) for channel in channels]

    async def _exit(self, feeds: Sequence[Feed], channels: Sequence[str], visitor: Visitor | None) -> None:
        self._open -= 1
        for feed in feeds:
            self._release(feed)
        for share, name in self._shares_of(visitor):
            share.give(name, channels)
        if self._settings.linger == 0 and self._tasks:  # a platform that freezes: leave nothing behind
            await asyncio.wait(self._tasks)

    def _shares_of(self, visitor: Visitor | None) -> list[tuple[Shares, str]]:
        if visitor is None:
            return []
        found = [(self._by_network, visitor.who.network)]
        return found if visitor.who.user is None else [(self._by_user, visitor.who.user), *found]

    def _turn_of(self, visitor: Visitor | None) -> Turn:
        if visitor is None:
            return nullcontext
        who = visitor.who
        return partial(self._turns.take, who.network if who.user is None else who.user)

    def offer(self, channel: str, entries: Sequence[Entry]) -> bool:
        """The reply of a publish is a notice to this process's own feed, where there is one.

        True where a few read it here: they are told in the loop's next turn, and that takes no time.
        """
        if (feed := self._feeds.get(channel)) is None:
            return False
        feed.notice(entries)
        return 0 < len(feed.audience) <= FEW

    def aside(self, channel: str, notice: bytes) -> None:
        """What this process tells beside messages is a notice to its own feed, too, where there is one."""
        if (feed := self._feeds.get(channel)) is not None:
            feed.aside(notice)

    def warm(self, channel: str) -> Feed | None:
        """The feed of a channel where one is open and well."""
        feed = self._feeds.get(channel)
        return None if feed is None or feed.failure is not None else feed

    def _has_room(self, channels: Sequence[str]) -> bool:
        """Whether these channels can be read too; feeds that only linger make way, the oldest first."""
        over = len(self._feeds) + sum(channel not in self._feeds for channel in channels) - self._capacity.channels
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

    def _take(self, channel: str, turn: Turn) -> Feed:
        feed = self.warm(channel)
        if feed is None:
            settings = self._settings_of(channel)
            audience = Audience if self._audience is None else self._audience(channel)
            feed = Feed(channel, self._store, settings, self._clock, turn, self.counters, audience)
            self._feeds[channel] = feed
        elif self._settings.freezes and feed not in self._users:
            feed.doubt()
        self._users[feed] = self._users.get(feed, 0) + 1
        if (timer := self._closing.pop(feed, None)) is not None:
            timer.cancel()
        return feed

    def _settings_of(self, channel: str) -> FeedSettings:
        if self._namespaces is None:
            return self._settings
        namespace = self._namespaces.of(channel)
        return self._settings._replace(retention=namespace.retention, features=namespace.features)

    def _release(self, feed: Feed) -> None:
        self._users[feed] -= 1
        if self._users[feed] > 0:
            return
        del self._users[feed]
        if feed.failure is not None or self._settings.linger == 0:
            self._retire(feed)
        else:
            loop = asyncio.get_running_loop()
            linger = max(self._settings.linger, feed.around.lingers)
            self._closing[feed] = loop.call_later(linger, self._retire, feed)

    def _retire(self, feed: Feed) -> None:
        self._closing.pop(feed, None)
        if self._feeds.get(feed.channel) is feed:
            del self._feeds[feed.channel]
        task = asyncio.create_task(feed.close())
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)


class _Places:
    """What a reader has open, for as long as its block runs. Each stream has one; generators would be much larger."""

    __slots__ = ("_channels", "_feeds", "_opened", "_paid", "_visitor")

    def __init__(self, feeds: Feeds, channels: Sequence[str], visitor: Visitor | None) -> None:
        self._feeds = feeds
        self._channels = channels
        self._visitor = visitor
        self._paid = None if visitor is None else paid_by(visitor.pay)

    async def __aenter__(self) -> list[Feed]:
        self._opened = self._feeds._enter(self._channels, self._visitor)
        if self._paid is not None:
            self._paid.__enter__()
        return self._opened

    async def __aexit__(self, *_: object) -> None:
        if self._paid is not None:
            self._paid.__exit__()
        await self._feeds._exit(self._opened, self._channels, self._visitor)
