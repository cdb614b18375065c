"""One source of notices over REST: a SUBSCRIBE (or PSUBSCRIBE) request while it works, else polling."""

from __future__ import annotations

import asyncio
import contextlib
import logging
from collections.abc import AsyncGenerator, Awaitable, Callable

import httpx

from app.cursor import Position
from app.errors import StoreUnavailable
from app.events import Entry
from app.stores.topic import Topic

BACKOFF = (0.1, 2.0)
"""Seconds before the first attempt to reconnect, and the most."""
REFUSALS = 3
"""Failures in a row after which the channels are polled."""
POLL = (0.5, 4.0)
"""Seconds between polls: the first after a message, and the longest on a quiet channel, which bounds the delay."""
POLL_GROWTH = 1.25
TRY_AGAIN = 30.0
"""Seconds of polling before SUBSCRIBE is tried again."""

_log = logging.getLogger("gapless.store")
Lines = Callable[[], AsyncGenerator[bytes, None]]
Newest = Callable[[str], Awaitable[list[Entry]]]


class Refused(Exception):
    """SUBSCRIBE was answered with something else than an event stream."""


class Upstream:
    """Feeds the topics put into `topics` (by pub/sub name), until closed."""

    def __init__(self, name: str, lines: Lines, newest: Newest) -> None:
        self.topics: dict[bytes, Topic] = {}
        self.polls = False
        self._name = name
        self._lines = lines
        self._newest = newest
        self._hears = False
        self._suspected = asyncio.Event()
        self._task = asyncio.create_task(self._run(), name=f"gapless upstream {name}")

    def add(self, name: str, topic: Topic) -> None:
        """Feed this topic too."""
        self.topics[name.encode()] = topic
        if self._hears:
            topic.hear()

    def suspect(self) -> None:
        """Something was missed: open a new request."""
        self._suspected.set()

    async def close(self) -> None:
        """Stop."""
        self._task.cancel()
        with contextlib.suppress(asyncio.CancelledError):
            await self._task

    async def _run(self) -> None:
        """Listen; after a failure listen again; after some in a row, poll for a while."""
        failures = 0
        while True:
            try:
                await self._listen()
            except (httpx.HTTPError, OSError, Refused) as error:
                _log.warning("the upstream %s failed: %s", self._name, error or type(error).__name__)
            failures = 0 if self._hears else failures + 1
            self._lose()
            if failures >= REFUSALS:
                await self._poll()
                self._lose()
            else:
                await asyncio.sleep(min(BACKOFF[0] * 4**failures, BACKOFF[1]))

    async def _listen(self) -> None:
        """Read one request until it ends, fails, or is suspected of being deaf."""
        self._suspected.clear()
        async with contextlib.aclosing(self._lines()) as lines:
            reading = asyncio.create_task(self._read(lines))
            watching = asyncio.create_task(self._suspected.wait())
            try:
                await asyncio.wait([reading, watching], return_when=asyncio.FIRST_COMPLETED)
            finally:
                watching.cancel()
                reading.cancel()
                await asyncio.wait([reading, watching])
            if not reading.cancelled() and (error := reading.exception()) is not None:
                raise error

    async def _read(self, lines: AsyncGenerator[bytes, None]) -> None:
        async for line in lines:
            match line.removeprefix(b"data: ").split(b",", 1) if line.startswith(b"data: ") else ():
                case [b"subscribe" | b"psubscribe", _]:
                    self._hear()
                case [b"message", rest]:
                    self._notice(*rest.split(b",", 1))
                case [b"pmessage", rest]:
                    self._notice(*rest.split(b",", 2)[1:])

    def _notice(self, name: bytes = b"", payload: bytes = b"") -> None:
        if (topic := self.topics.get(name)) is not None:
            topic.notice(payload)

    async def _poll(self) -> None:
        """For a while, read each log's end at a growing interval, and tell what is new."""
        loop = asyncio.get_running_loop()
        until, pause = loop.time() + TRY_AGAIN, POLL[0]
        known: dict[bytes, Position] = {}
        self.polls = True
        try:
            while loop.time() < until and not self._suspected.is_set():
                news = await self._poll_all(known)
                pause = POLL[0] if news else min(pause * POLL_GROWTH, POLL[1])
                await asyncio.sleep(pause)
        finally:
            self.polls = False

    async def _poll_all(self, known: dict[bytes, Position]) -> bool:
        """One read a channel. True where anything was new."""
        news = False
        try:
            for name, topic in list(self.topics.items()):
                entries = await self._newest(topic.channel)
                if entries and entries[-1].position != known.get(name):
                    known[name] = entries[-1].position
                    topic.tell(entries)
                    news = True
        except StoreUnavailable as error:
            _log.warning("polling %s failed: %s", self._name, error)
            self._lose()
        else:
            self._hear()
        return news

    def _hear(self) -> None:
        self._hears = True
        for topic in self.topics.values():
            topic.hear()

    def _lose(self) -> None:
        self._hears = False
        for topic in self.topics.values():
            topic.lose()
