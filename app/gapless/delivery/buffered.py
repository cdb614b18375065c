"""A turn: the answer to a stream request on a platform that sends only whole bodies. Same URL, same promise.

A client without a cursor is answered at once, with its position. Any other client waits until there is something to
send, or until the platform's limit. It gets all messages that are there, up to a bound, and asks again with its new
cursor.
"""

from __future__ import annotations

import asyncio
from collections.abc import Sequence

from gapless.channels.feed import Feed
from gapless.channels.frames import Frame
from gapless.delivery import sse
from gapless.delivery.channel_cursor import ChannelCursor
from gapless.delivery.end import End
from gapless.delivery.mode import Mode
from gapless.delivery.retry import RETRY_UNAVAILABLE, jittered
from gapless.delivery.session import PLAIN, Extras, Start, StreamLimits, StreamSession
from gapless.delivery.watch import Watch
from gapless.log.entries import Gap
from gapless.log.errors import StoreUnavailable
from gapless.log.store import Room

MOST_MESSAGES = 100
MOST_BYTES = 196_608
"""After which a turn takes no more. With one message of the default GAPLESS_MAX_BODY on top it passes through a load
balancer, which takes 1 MiB of JSON in which each byte may become three (Python 3.11's runtime escapes what is not
ASCII)."""
MOST_ASIDE = 32_768
"""Bytes of signals in a turn, and of receipts."""
SLACK = 512
"""Bytes by which one channel's event may be longer than what it tells."""
LONGEST = 20.0
"""Seconds for which a turn waits at most, also where the platform would stream: clients and proxies wait for 30."""
RETRY = 80
"""Milliseconds before the client's next turn, and up to half as many again."""


class BufferedResponse(StreamSession):
    """One reader, one answer."""

    mode = Mode.BUFFERED

    def __init__(self, feeds: Sequence[Feed], start: Start, limits: StreamLimits, extras: Extras = PLAIN) -> None:
        super().__init__(feeds, start, limits, extras)
        self.served = False
        """The body says more than `end`."""
        self._bell = asyncio.Event()
        self._gaps: list[tuple[Feed, Gap]] = []
        self._body: list[bytes] = []
        self._size = 0
        self._asides: list[bytes] = []
        self._aside_room = MOST_ASIDE

    async def collect(self) -> bytes:
        """The whole body: hello, the messages, and a short retry; or only `end` if the store can't be reached."""
        reason, gone = End.DEADLINE, True
        try:
            async with asyncio.timeout(self._limits.lifetime):
                await self._greet()
                if self._has_place() and self._is_level():
                    self._heads = None  # nothing was replayed: news alone ends this turn
                await self._gather()
                await self._tell_live()
            gone = False
        except TimeoutError:
            gone = False
            reason = self._limits.deadline_reason
        except StoreUnavailable:
            gone = False
            self._drop()
        finally:
            self._leave(gone=gone)
        if not self._body:  # not even `hello`: the store failed, or took all the time there was
            return sse.end(End.UNAVAILABLE, retry=jittered(RETRY_UNAVAILABLE, self._limits.random))
        self.served = True
        for feed, gap in self._gaps:
            super()._count(feed, gap)
        return b"".join(
            [*self._body, *self._riding_along(), sse.end(reason, retry=jittered(RETRY, self._limits.random))]
        )

    def _drop(self) -> None:
        """Nothing of what was collected is handed over."""
        self._body.clear()
        self._gaps.clear()
        self.messages = 0

    def _count(self, feed: Feed, gap: Gap) -> None:
        """It is told once the body is whole."""
        self._gaps.append((feed, gap))

    def deliver(self, cursor: ChannelCursor, new: Sequence[Frame], block: bytes, now: float) -> None:
        """Wake the turn: there is something to collect."""
        self._bell.set()

    def aside(self, block: bytes, now: float) -> None:
        """A signal: it ends the turn, as a message does. More than fit are lost."""
        if self._aside_room >= len(block):
            self._aside_room -= len(block)
            self._asides.append(block)
            self._bell.set()

    def beside(self, watch: Watch, block: bytes, now: float) -> None:
        """Each turn tells the whole at its end."""

    def fall_behind(self) -> None:
        self._bell.set()

    async def _gather(self) -> None:
        """A share of each channel in turn; wait only where a client that has its place would get nothing."""
        empty = len(self._body)
        while self._room() > 0:
            self._bell.clear()
            before = len(self._body)
            for cursor in self._cursors:
                if self._room() > 0:
                    await self._advance(cursor)
            self._body += self._asides
            self._asides.clear()
            if len(self._body) == before:
                if before > empty or not self._has_place():
                    return
                await self._bell.wait()

    def _riding_along(self) -> list[bytes]:
        """What goes on beside the messages, as far as it is known and fits. It is nothing that a turn waits for."""
        found: list[bytes] = []
        for watch in self._watches:
            whole = watch.take()
            if sum(map(len, found)) + len(whole) <= MOST_ASIDE + SLACK:
                found.append(whole)
        return found

    def _has_place(self) -> bool:
        """True where the client already knew its position: a new one is told it without waiting."""
        return self._start.cursor is not None

    def _room(self) -> int:
        """Bytes that still fit; none once enough messages are in."""
        return MOST_BYTES - self._size if self.messages < MOST_MESSAGES else 0

    def _share(self) -> Room:
        """An even part for each channel, so that a loud one does not starve the others; but at least one message."""
        channels = len(self._cursors)
        most = max(1, min(MOST_MESSAGES // channels, MOST_MESSAGES - self.messages))
        return Room(most, min(MOST_BYTES // channels, self._room()))

    async def _write(self, block: bytes) -> None:
        self._body.append(block)
        self._size += len(block)
