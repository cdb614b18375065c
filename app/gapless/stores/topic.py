"""A pub/sub topic and its listeners: the bookkeeping that every transport shares."""

from __future__ import annotations

import asyncio
import logging
from abc import ABC, abstractmethod
from collections.abc import Callable, Sequence
from functools import partial

from gapless.log.cursor import Position
from gapless.log.entries import Entry, parse_notice
from gapless.log.errors import CorruptLog, StoreUnavailable
from gapless.log.signals import ASIDE
from gapless.log.store import Listener

DOUBT = (2.0, 1.0)
"""Seconds in which a notice that must be on its way has to arrive: in two parts, so that a process that was held up
gets to read what came meanwhile before it judges."""

CLOSED = "the store is closed"

_log = logging.getLogger("gapless.store")


class Topic:
    """Tells its listeners of notices, of the loss of the subscription, and of the moment from which it hears again."""

    def __init__(self, channel: str) -> None:
        self.channel = channel
        self.listeners: list[Listener] = []
        self._told: Position | None = None
        self._open = asyncio.Event()
        self._was_lost = self._ended = False
        self._doubt: asyncio.TimerHandle | None = None

    async def opened(self, seconds: float) -> None:
        """Return once the subscription is acknowledged; raises StoreUnavailable when that takes too long."""
        try:
            async with asyncio.timeout(seconds):
                await self._open.wait()
        except TimeoutError:
            raise StoreUnavailable("the store did not acknowledge a subscription") from None
        if self._ended:
            raise StoreUnavailable(CLOSED)

    def end(self) -> None:
        """The store is closed: nobody waits or doubts any more."""
        self.trust()
        self._ended = True
        self._open.set()

    def hear(self) -> None:
        """The subscription is acknowledged."""
        self._open.set()
        if self._was_lost:
            self._was_lost = False
            for listener in tuple(self.listeners):
                listener.heard()

    def lose(self) -> None:
        """The subscription is gone."""
        self.trust()
        if self._open.is_set():
            self._open.clear()
            self._was_lost = True
            for listener in tuple(self.listeners):
                listener.lost()

    def notice(self, payload: bytes) -> None:
        """A notice came in; what none of ours has sent is ignored."""
        self.trust()
        if payload.startswith(ASIDE):
            for listener in tuple(self.listeners):
                listener.aside(payload)
            return
        try:
            told = parse_notice(payload)
        except CorruptLog as error:
            _log.warning("a foreign notice was ignored: %s", error)
            return
        self.tell(told)

    def tell(self, told: Sequence[Entry] | Position) -> None:
        """Messages were appended."""
        self._told = told if isinstance(told, Position) else told[-1].position
        for listener in tuple(self.listeners):
            listener.notice(told)

    def all_told(self) -> None:
        """That is all for now."""
        for listener in tuple(self.listeners):
            listener.all_told()

    def knows(self, position: Position) -> bool:
        """A notice has told of this message, or of a later one."""
        return self._told is not None and self._told.epoch == position.epoch and self._told.seq >= position.seq

    def doubt(self, renew: Callable[[], None]) -> None:
        """Something was appended that no notice has told yet: unless one comes soon, call `renew`."""
        if self._doubt is None and self._open.is_set():
            self._doubt = asyncio.get_running_loop().call_later(DOUBT[0], self._doubt_more, renew)

    def trust(self) -> None:
        """It hears, or is known not to: no more doubt."""
        if self._doubt is not None:
            self._doubt.cancel()
            self._doubt = None

    def _doubt_more(self, renew: Callable[[], None]) -> None:
        self._doubt = asyncio.get_running_loop().call_later(DOUBT[1], self._give_up, renew)

    def _give_up(self, renew: Callable[[], None]) -> None:
        self._doubt = None
        renew()


class TopicSubscriptions(ABC):
    """The topics that a process listens to, each from its first listener to its last. A subclass feeds them."""

    def __init__(self) -> None:
        self._topics: dict[bytes, Topic] = {}
        self._closed = False

    async def subscribe(self, name: str, channel: str, listener: Listener) -> TopicSubscription:
        """Listen to a topic; returns once it hears, or raises StoreUnavailable."""
        if self._closed:
            raise StoreUnavailable(CLOSED)
        key = name.encode()
        known = self._topics.get(key)
        topic = self._topics[key] = known or Topic(channel)
        topic.listeners.append(listener)
        subscription = TopicSubscription(self, key, listener)
        try:
            if known is None:
                await self._begin(key, topic)
            await topic.opened(self._patience)
        except BaseException:
            await subscription.close()
            raise
        return subscription

    async def forget(self, key: bytes, listener: Listener) -> None:
        """Call this listener no more. The last one ends its topic."""
        topic = self._topics.get(key)
        if topic is None or listener not in topic.listeners:
            return
        topic.listeners.remove(listener)
        if topic.listeners:
            return
        topic.trust()
        del self._topics[key]
        await self._end(key)

    def expect(self, key: bytes, position: Position | None = None) -> None:
        """Something was appended that this topic, if it is listened to, must soon be told: else it is subscribed anew.

        Up to `position`, where that is known: its notice may have come before the reply that says so.
        """
        topic = self._topics.get(key)
        if topic is not None and (position is None or not topic.knows(position)):
            topic.doubt(partial(self._renew, key))

    async def close(self) -> None:
        """Stop listening to everything."""
        self._closed = True
        for topic in self._topics.values():
            topic.end()
        self._topics.clear()
        await self._stop()

    @property
    @abstractmethod
    def _patience(self) -> float:
        """Seconds in which a topic must hear."""

    @abstractmethod
    async def _begin(self, key: bytes, topic: Topic) -> None:
        """Feed this topic, too: it has its first listener."""

    @abstractmethod
    async def _end(self, key: bytes) -> None:
        """Feed this topic no more: its last listener has left."""

    @abstractmethod
    def _renew(self, key: bytes) -> None:
        """This topic's subscription is silent although there is something to say: make a new one."""

    @abstractmethod
    async def _stop(self) -> None:
        """Let go of all that feeds topics."""


class TopicSubscription:
    """One listener's subscription to a topic."""

    def __init__(self, subscriptions: TopicSubscriptions, key: bytes, listener: Listener) -> None:
        self._subscriptions = subscriptions
        self._key = key
        self._listener = listener

    def suspect(self) -> None:
        self._subscriptions.expect(self._key)

    async def close(self) -> None:
        await self._subscriptions.forget(self._key, self._listener)
