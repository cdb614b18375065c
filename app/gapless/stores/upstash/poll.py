"""Polling, if SUBSCRIBE does not work: one read of a log's end per tick, for any number of listeners."""

from __future__ import annotations

import asyncio
import contextlib
import logging
from collections.abc import Awaitable, Callable

from gapless.log.cursor import Position
from gapless.log.entries import Entry
from gapless.log.errors import StoreUnavailable
from gapless.runtime.tasks import end
from gapless.stores.keyspace import LOOK
from gapless.stores.topic import Topic

POLL = (0.5, 4.0)
"""Seconds between two reads: the first after a message, and the longest on a quiet channel, which bounds the delay."""
POLL_GROWTH = 1.25

_log = logging.getLogger("gapless.store")
POLLED = 8
"""Entries that a tick reads: more than these between two ticks cost the feed a read of its own."""
POLLED_BYTES = 16_384
"""Where the entries of the last tick had more together, the next reads only the newest: nothing may have come."""
Newest = Callable[[str, int], Awaitable[list[Entry]]]


class Poller:
    """Reads one channel and tells its topic, until it is closed or finished."""

    def __init__(self, topic: Topic, newest: Newest) -> None:
        self._topic = topic
        self._newest = newest
        self._known: Position | None = None
        self._count = 1
        self._fails = self._has_read = False
        self._last = asyncio.Event()
        self._task = asyncio.create_task(self._run(), name=f"gapless poll {topic.channel}")

    def finish(self) -> None:
        """Something else hears by now: read once more, for what came in between, and end."""
        self._last.set()

    def go_on(self) -> bool:
        """Do not end after all; False where it has."""
        self._last.clear()
        return not self._task.done()

    async def close(self) -> None:
        """Stop."""
        await end(self._task)

    async def _run(self) -> None:
        pause = POLL[0]
        while True:
            last = self._last.is_set()
            news = await self._poll()
            if last and self._last.is_set():
                return
            pause = POLL[0] if news else min(pause * POLL_GROWTH, POLL[1])
            with contextlib.suppress(TimeoutError):
                async with asyncio.timeout(pause):
                    await self._last.wait()

    async def _poll(self) -> bool:
        """Read once. True where there is more than before."""
        try:
            entries = await self._newest(self._topic.channel, self._count)
        except StoreUnavailable as error:
            self._fail(error)
            return False
        except Exception as error:  # a defect of ours must not leave the channel's feeds without notices
            _log.exception("polling %s broke", self._topic.channel)
            self._fail(error)
            return False
        self._fails = False
        self._count = POLLED if sum(len(entry.body) for entry in entries) * POLLED <= POLLED_BYTES * len(entries) else 1
        if not self._last.is_set():  # else its successor says whether it hears
            self._topic.hear()
        before, self._known = self._known, entries[-1].position if entries else None
        had_read, self._has_read = self._has_read, True
        if not had_read or before == self._known:  # readers read for themselves when they begin to hear
            return False
        if self._known is None:
            self._topic.notice(LOOK)  # the log is gone: have its readers look
        else:
            self._topic.tell(entries)
        return self._known is not None and (before is None or self._known[:2] > before[:2])

    def _fail(self, error: Exception) -> None:
        if not self._fails:
            _log.warning("polling %s fails: %s", self._topic.channel, error)
        self._fails = True
        if self._last.is_set():
            self._topic.notice(LOOK)  # nobody will read again here: have the readers look
        else:
            self._topic.lose()
