"""Keeps the marks of one channel up to date for its readers, as long as there are any who want them.

Notices tell what has risen; the hash is read when the first reader comes, when the subscription hears again, 3 s after
the last notice, and at rechecks. Nothing here ever ends or delays a stream: a read that fails is tried again later.
"""

from __future__ import annotations

import asyncio
import json
import logging
from contextvars import Context
from typing import Any, Protocol

from gapless.channels.bounded import BoundedStore
from gapless.channels.feed_settings import FeedSettings
from gapless.channels.paying import charge
from gapless.channels.read_timer import ReadTimer
from gapless.channels.receipts import SETTLED, KnownMarks
from gapless.log.errors import StoreUnavailable
from gapless.log.receipts import parse_receipt, told
from gapless.runtime.tasks import end

TOGETHER = 0.2
"""Seconds for which what has risen is collected: a burst of updates is one event."""
RETRY = 5.0
"""Seconds after which a read that failed is tried again."""
UNTOLD = 60.0
"""Seconds between two reads where no notice can come, because the channel is polled."""

_log = logging.getLogger("gapless.feed")


class Watcher(Protocol):
    """Is told of what goes on around messages. Called on the event loop; must not block or raise."""

    def changed(self, block: bytes, now: float) -> None:
        """An event with what is new. A watcher that can't take it asks for the whole later."""

    def anew(self) -> None:
        """The whole is known, or another one than before: ask for it."""


class ReceiptBoard:
    """The marks of one channel in one process."""

    def __init__(self, channel: str, store: BoundedStore, settings: FeedSettings) -> None:
        self._channel = channel
        self._store = store
        self._lag = settings.lag
        self._known = KnownMarks()
        self._loop = asyncio.get_running_loop()
        self._watchers: dict[Watcher, None] = {}
        self._timer = ReadTimer(settings.recheck)
        self._task: asyncio.Task[None] | None = None
        self._has_read = False
        self._whole: bytes | None = None
        self._telling: asyncio.TimerHandle | None = None

    def join(self, watcher: Watcher) -> None:
        """From now on this watcher is told; the first one pays for a read."""
        self._watchers[watcher] = None
        if self._task is None or self._task.done():
            self._has_read = False
            charge(1)
            self._task = asyncio.create_task(self._run(), name=f"gapless receipts {self._channel}", context=Context())

    def leave(self, watcher: Watcher) -> None:
        """From now on it is not; the last one ends the reading."""
        self._watchers.pop(watcher, None)
        if not self._watchers and self._task is not None:
            self._timer.ask()

    def take(self, notice: bytes) -> None:
        """A notice of no messages."""
        if self._watchers and (found := parse_receipt(notice)) is not None:
            self._known.note(*found, self._loop.time())
            self._whole = None
            self._timer.noticed()
            self._tell_soon()

    def look(self) -> None:
        """Notices may have been missed, or the channel was deleted."""
        self._timer.ask()

    def whole(self) -> bytes | None:
        """An event with every mark, encoded once for all who ask; None as long as nothing was read."""
        if self._whole is None and self._has_read:
            self._whole = _event(told(self._channel, self._known.marks, whole=True))
        return self._whole

    async def close(self) -> None:
        """Stop reading and telling."""
        if self._telling is not None:
            self._telling.cancel()
        if self._task is not None:
            await end(self._task)

    async def _run(self) -> None:
        try:
            while self._watchers:
                await self._read()
                await self._timer.due()
        except Exception:  # a defect of ours, which no stream must feel
            _log.exception("the receipts of %s are no longer told", self._channel)

    async def _read(self) -> None:
        self._timer.began()
        try:
            found = await self._store.marks(self._channel)
        except StoreUnavailable:
            self._timer.ask(RETRY)
            return
        first, self._has_read, self._whole = not self._has_read, True, None
        gone = self._known.replace(found, self._loop.time())
        if self._known.lacks(found):
            self._timer.ask(SETTLED)
        if not self._store.tells_asides:
            self._timer.ask(UNTOLD)
        if first and self._lag:  # it may have been too early for what was told before this process heard
            self._timer.ask(self._lag)
        if first or gone:
            self._known.untold()
            for watcher in tuple(self._watchers):
                watcher.anew()
        else:
            self._tell_soon()

    def _tell_soon(self) -> None:
        if self._telling is None and self._has_read:
            self._telling = self._loop.call_later(TOGETHER, self._tell)

    def _tell(self) -> None:
        self._telling = None
        if risen := self._known.untold():
            block, now = _event(told(self._channel, risen, whole=False)), self._loop.time()
            for watcher in tuple(self._watchers):
                watcher.changed(block, now)


def _event(data: dict[str, Any]) -> bytes:
    """Without an id: it moves no position."""
    return f"event: receipt\ndata: {json.dumps(data, separators=(',', ':'))}\n\n".encode()
