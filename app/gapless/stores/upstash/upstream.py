"""One source of notices over REST: a SUBSCRIBE (or PSUBSCRIBE) request while that works, else polling."""

from __future__ import annotations

import asyncio
import contextlib
import logging
from collections.abc import AsyncGenerator, Callable

import httpx

from gapless.runtime.tasks import end
from gapless.stores.topic import Topic
from gapless.stores.upstash.gate import Gate
from gapless.stores.upstash.poll import Newest, Poller

ACK_TIMEOUT = 4.0
"""Seconds in which a request must be acknowledged."""
BACKOFF = (0.1, 2.0)
"""Seconds before the first attempt to reconnect, and the most."""
FAILURES = 6
"""What may fail in a row before the channels are polled: an attempt counts two, a request that soon ended one. A
refusal, or silence instead of an acknowledgement, counts as many as it takes."""
STEADY = 2.0
"""Seconds after which a request that ends has not failed: it was ended by its time, or found to be silent."""

_log = logging.getLogger("gapless.store")
Lines = Callable[[], AsyncGenerator[bytes, None]]


class Refused(Exception):
    """SUBSCRIBE was answered with something else than an event stream."""


class Upstream:
    """Feeds the topics added to it, until it is closed."""

    def __init__(self, name: str, lines: Lines, newest: Newest, gate: Gate) -> None:
        self.topics: dict[bytes, Topic] = {}
        self._name = name
        self._lines = lines
        self._newest = newest
        self._gate = gate
        self._hears = self._polls = self._closed = False
        self._heard_at = 0.0
        self._pollers: dict[bytes, Poller] = {}
        self._limit: asyncio.Timeout | None = None
        self._task = asyncio.create_task(self._run(), name=f"gapless upstream {name}")

    def add(self, key: bytes, topic: Topic) -> None:
        """Feed this topic too."""
        self.topics[key] = topic
        if self._hears:
            topic.hear()
        elif self._polls:
            self._pollers[key] = Poller(topic, self._newest)

    async def remove(self, key: bytes) -> None:
        """Feed this topic no more."""
        del self.topics[key]
        if (poller := self._pollers.pop(key, None)) is not None:
            await poller.close()

    def renew(self) -> None:
        """It says nothing although there is something to say: open a new request."""
        limit, self._limit = self._limit, None
        if limit is not None and self._hears:
            _log.warning("the upstream %s is silent, and is opened anew", self._name)
            limit.reschedule(asyncio.get_running_loop().time())

    async def close(self) -> None:
        """Stop."""
        self._closed = True
        await end(self._task)
        for topic in self.topics.values():
            topic.trust()
        for poller in self._pollers.values():
            await poller.close()

    async def _run(self) -> None:
        """Listen; after a failure listen again; poll for as long as that does not work."""
        failures = 0
        try:
            while True:
                if self._gate.may_try():
                    failures = await self._try(failures)
                if self._gate.refused:
                    self._poll()
                    await self._gate.reopened()
                else:
                    await asyncio.sleep(min(BACKOFF[0] * 2**failures, BACKOFF[1]))
        finally:
            if not self._closed:  # cancelled from outside by mistake: the topics must know
                self._lose()

    async def _try(self, failures: int) -> int:
        """Listen until that ends. Returns how much has failed in a row."""
        error: Exception | None = None
        try:
            await self._listen()
        except (httpx.HTTPError, OSError, TimeoutError, Refused) as caught:
            error = caught
        except Exception as caught:  # a defect of ours must not leave all feeds without notices
            _log.exception("the upstream %s broke", self._name)
            error = caught
        heard = self._hears
        self._lose()
        if heard and asyncio.get_running_loop().time() - self._heard_at >= STEADY:
            self._gate.reset_backoff()
            return 0
        _log.warning("the upstream %s ended: %s", self._name, str(error or "") or type(error).__name__)
        hopeless = isinstance(error, (Refused, TimeoutError)) and not heard
        failures += FAILURES if hopeless else 1 if heard else 2
        if failures >= FAILURES:
            self._gate.refuse()
        return failures

    async def _listen(self) -> None:
        """Read one request until it ends, fails, or is found to be silent."""
        try:
            async with asyncio.timeout(ACK_TIMEOUT) as self._limit, contextlib.aclosing(self._lines()) as lines:
                async for line in lines:
                    self._take(line)
        finally:
            self._limit = None

    def _take(self, line: bytes) -> None:
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

    def _hear(self) -> None:
        """Acknowledged: from here on all is told. What pollers may have missed just before, they read."""
        if self._limit is not None:
            self._limit.reschedule(None)
        self._hears, self._polls = True, False
        self._heard_at = asyncio.get_running_loop().time()
        self._gate.accept()
        for topic in self.topics.values():
            topic.hear()
        for poller in self._pollers.values():
            poller.finish()

    def _lose(self) -> None:
        """The request is gone."""
        if self._hears:
            self._hears = False
            for topic in self.topics.values():
                topic.lose()

    def _poll(self) -> None:
        """Have every topic polled."""
        self._polls = True
        for key, topic in self.topics.items():
            poller = self._pollers.get(key)
            if poller is None or not poller.go_on():
                self._pollers[key] = Poller(topic, self._newest)
