"""Subscriptions over TCP: one pub/sub connection per process for all channels. It knows when it receives nothing.

redis-py's PubSub reconnects silently and returns from `subscribe` before the server has answered. Here a subscription
begins with the acknowledgement. Every listener is told when the connection is lost, and when it receives again.
"""

from __future__ import annotations

import asyncio
import contextlib
import logging
import math
from collections import Counter
from collections.abc import Awaitable, Callable
from typing import Any

from redis import exceptions
from redis.asyncio import Connection

from gapless.log.errors import StoreUnavailable
from gapless.runtime.tasks import end
from gapless.runtime.within import within
from gapless.stores.redis.lines import send
from gapless.stores.refusals import said
from gapless.stores.topic import Topic, TopicSubscriptions
from gapless.stores.traffic import Traffic

ACK_TIMEOUT = 3.0
PING_EVERY = 15.0
BACKOFF = (0.1, 1.0)
"""Seconds before the first attempt to reconnect, and the most."""

_LOST = (exceptions.RedisError, OSError, TimeoutError, StoreUnavailable)
_log = logging.getLogger("gapless.store")


class Subscriptions(TopicSubscriptions):
    """Subscriptions over one connection, opened with the first and closed with the last.

    PING watches over the connection all the time, but not over what lies behind it: that is what `expect` is for.
    """

    def __init__(self, connect: Callable[[], Awaitable[Connection]], traffic: Traffic | None = None) -> None:
        super().__init__()
        self._connect = connect
        self._traffic = traffic or Traffic()
        self._session: _Session | None = None

    def renew(self) -> None:
        """What we are connected to may be another server than the one that is written to: listen anew."""
        if self._session is not None:
            self._session.renew()

    @property
    def _patience(self) -> float:
        return ACK_TIMEOUT

    async def _begin(self, key: bytes, topic: Topic) -> None:
        if self._session is None:
            self._session = _Session(self._connect, self._topics, self._traffic)
        else:
            await self._session.send("SUBSCRIBE", key)

    async def _end(self, key: bytes) -> None:
        if not self._topics:
            await self._stop()
        elif self._session is not None:
            await self._session.leave(key)

    def _renew(self, key: bytes) -> None:
        self.renew()

    async def _stop(self) -> None:
        session, self._session = self._session, None
        if session is not None:
            await session.end()


class _Session:
    """One task, and one connection at a time, for all `topics` there are; until it ends.

    The next one may begin while this one still ends, which takes as long as the network likes: what is here is its own,
    and it leaves the topics alone by then.
    """

    def __init__(
        self, connect: Callable[[], Awaitable[Connection]], topics: dict[bytes, Topic], traffic: Traffic
    ) -> None:
        self._connect = connect
        self._traffic = traffic
        self._topics = topics
        self._leaving: Counter[bytes] = Counter()
        self._told: dict[Topic, None] = {}
        self._connection: Connection | None = None
        self._limit: asyncio.Timeout | None = None
        self._over = False
        self._pause, self._complaint = BACKOFF[0], ""
        self._task = asyncio.create_task(self._run(), name="gapless subscriptions")

    async def send(self, *command: Any) -> None:
        """Best effort: where the connection is gone, the next one subscribes to all that is wanted then."""
        if self._connection is not None:
            with contextlib.suppress(*_LOST):
                await self._send(self._connection, *command)

    async def leave(self, key: bytes) -> None:
        """Unsubscribe from a topic."""
        if self._connection is not None:
            self._leaving[key] += 1
            await self.send("UNSUBSCRIBE", key)

    def renew(self) -> None:
        """It is silent, or seems to be: listen on another connection."""
        limit, self._limit = self._limit, None
        if limit is not None:
            _log.warning("the subscription may be silent, and is opened anew")
            limit.reschedule(asyncio.get_running_loop().time())

    async def end(self) -> None:
        """End the subscriptions, and close the connection."""
        self._over = True
        await end(self._task)

    async def _run(self) -> None:
        """Connect, listen, tell of the loss, and again: later and later, until it hears."""
        while not self._over:
            try:
                self._connection = await self._connect()
                await self._send(self._connection, "SUBSCRIBE", *self._topics)
                async with asyncio.timeout(None) as self._limit:
                    await self._listen(self._connection)
            except _LOST as error:
                self._complain(said(error))
            except Exception:  # a defect of ours must not leave all feeds without notices
                _log.exception("the subscription broke")
            finally:
                await self._lose()
            await asyncio.sleep(self._pause)
            self._pause = min(self._pause * 2, BACKOFF[1])

    def _complain(self, words: str) -> None:
        """Log why it is lost: once for as long as that stays the same, as a missing right does."""
        if words != self._complaint:
            self._complaint = words
            _log.warning("the subscription was lost: %s", words)

    async def _send(self, connection: Connection, *command: Any) -> None:
        await send(connection, *command)
        self._traffic.sent(command)

    async def _lose(self) -> None:
        connection, self._connection, self._limit = self._connection, None, None
        self._leaving.clear()
        if not self._over:
            for topic in self._topics.values():
                topic.lose()
        if connection is not None:
            await connection.disconnect(nowait=True)

    async def _listen(self, connection: Connection) -> None:
        """Read for as long as the server shows signs of life: the acknowledgement, then one answer, at least, per PING.

        A node that is cut off from its cluster answers, too, and hears nothing: see `TopicSubscriptions.expect`.
        """
        silent = True
        while not self._over and self._limit is not None:  # a cancellation may be swallowed, what it was for is not
            timeout = ACK_TIMEOUT if silent else PING_EVERY
            message = await self._next(connection, timeout)
            if message is not None:
                silent = False
                self._hear(message)
            elif silent:
                raise exceptions.TimeoutError("no answer")
            else:
                silent = True
                await send(connection, "PING", check_health=False)

    async def _next(self, connection: Connection, seconds: float) -> Any:
        """What the server says next; None where it says nothing for so long. What has come with the last comes at once;
        else the topics are told that this was all.
        """
        reading = connection.read_response(timeout=math.inf, disconnect_on_error=False)
        try:
            return await within(seconds, reading, self._all_told)
        except TimeoutError:
            return None

    def _all_told(self) -> None:
        told, self._told = self._told, {}
        for topic in told:
            topic.all_told()

    def _hear(self, message: Any) -> None:
        if self._over:
            return
        match message:
            case [b"message", key, payload] if key in self._topics:
                self._told[self._topics[key]] = None
                self._topics[key].notice(payload)
            case [b"unsubscribe", key, _]:
                self._leaving[key] -= 1
            case [b"subscribe", key, _] if key in self._topics and not self._leaving[key] > 0:
                self._pause, self._complaint = BACKOFF[0], ""
                self._topics[key].hear()  # an acknowledgement from before an UNSUBSCRIBE promises nothing
