"""A stream: a cursor, a deadline and a heartbeat; nothing else per connection.

The hot path is `deliver`. A feed calls it for every reader of a channel, from one place, with bytes that were encoded
once. A reader that can't take them at once keeps its position, and catches up in its own task: from the feed's tail,
else from the log, else after a gap. So a slow reader costs a position and one chunk, never a queue.
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Callable, Coroutine, MutableMapping, Sequence
from typing import Any

from gapless.channels.feed import Feed
from gapless.channels.frames import Frame
from gapless.channels.schedule import NEVER
from gapless.delivery import sse
from gapless.delivery.channel_cursor import ChannelCursor
from gapless.delivery.end import End
from gapless.delivery.mode import Mode
from gapless.delivery.retry import RETRY_UNAVAILABLE, jittered
from gapless.delivery.send_nowait import send_nowait
from gapless.delivery.session import PLAIN, Extras, Start, StreamLimits, StreamSession
from gapless.delivery.watch import Watch
from gapless.log.errors import StoreUnavailable
from gapless.log.store import Room

Send = Callable[[MutableMapping[str, Any]], Coroutine[Any, Any, None]]

DirectWrite = Callable[[bytes], bool]
"""What a server may offer beside `send`: writes a part of the body at once. False, and nothing is written, where that
would wait: the client does not keep up, or is gone."""

CHUNK = 65_536
"""Bytes after which a chunk of a backlog is sent, or one message. It is fetched only when the transport's buffer has
room, and so the two together are all that a reader can hold here."""
PATIENCE = 20.0
"""Seconds for which a reader may take nothing before its stream ends (`slow`)."""

_log = logging.getLogger("gapless.stream")


class Stream(StreamSession):
    """One reader of one or many channels, until its deadline."""

    mode = Mode.STREAMING

    def __init__(self, feeds: Sequence[Feed], start: Start, limits: StreamLimits, extras: Extras = PLAIN) -> None:
        super().__init__(feeds, start, limits, extras)
        self._heartbeat = sse.VISIBLE_HEARTBEAT if extras.beat else sse.HEARTBEAT
        self._loop = asyncio.get_running_loop()
        self._bell = asyncio.Event()
        self._live = False
        self._sending: asyncio.Future[None] | None = None
        self._sent_at = self._loop.time()
        self._stopped: End | None = None
        self._left = False
        self._limit: asyncio.Timeout | None = None
        self._send: Send
        self._direct_write: DirectWrite | None = None

    # --- live: called by feeds, for every stream of a channel

    def deliver(self, cursor: ChannelCursor, new: Sequence[Frame], block: bytes, now: float) -> None:
        """Send these frames at once, or leave the reader behind with its position."""
        if not self._live:
            return
        if self._sending is not None:
            self._live = False
            return
        if len(block) > CHUNK:  # held by nobody who may not be able to take it
            self.fall_behind()
            return
        self.messages += len(new)
        self._sent_at = now
        if self._alone:
            cursor.position = new[-1].position
        else:
            block = self._encode(cursor, new)
        self._launch(block)

    def aside(self, block: bytes, now: float) -> None:
        """Send it where the client keeps up. A message that comes next is not kept waiting by more than this block."""
        if self._live and self._sending is None:
            self._sent_at = now
            self._launch(block)

    def beside(self, watch: Watch, block: bytes, now: float) -> None:
        """Send it where the client keeps up; else it gets the whole when it does again."""
        if self._live and self._sending is None:
            self._sent_at = now
            self._launch(block)
        else:
            watch.stale = True
            self._live = False

    def _launch(self, block: bytes) -> None:
        if self._direct_write is not None and self._direct_write(block):
            return
        sending = send_nowait(self._send({"type": "http.response.body", "body": block, "more_body": True}), self._loop)
        if sending is not None:
            self._sending = sending
            sending.add_done_callback(self._landed)

    def _landed(self, sending: asyncio.Future[None]) -> None:
        self._sending = None
        if sending.cancelled() or sending.exception() is not None:
            self.stop(End.SLOW)
        elif not self._live:
            self._bell.set()

    def fall_behind(self) -> None:
        self._live = False
        self._bell.set()

    def stop(self, reason: End) -> None:
        """End as soon as possible, for this reason."""
        self._stopped = self._stopped or reason
        self._break_off()

    def leave(self) -> None:
        """The client is gone: end as soon as possible, and say nothing. `run` raises OSError."""
        self._left = True
        self._break_off()

    def _break_off(self) -> None:
        if self._limit is not None and not self._limit.expired():
            self._limit.reschedule(self._loop.time())

    # --- the stream's own task

    async def run(self, send: Send, direct_write: DirectWrite | None = None) -> End:
        """Say hello, then send everything, until the deadline or a reason to stop; says why, and returns it."""
        self._send = send
        self._direct_write = direct_write
        deadline = self._loop.time() + (0 if self._stopped or self._left else self._limits.lifetime)
        self._limit = limit = asyncio.timeout_at(deadline)
        reason: End | None = None
        try:
            async with limit:
                await self._greet()
                while True:
                    await self._catch_up()
                    await self._rest()
        except TimeoutError:
            if self._left:
                raise ConnectionResetError from None
            reason = (self._stopped or self._limits.deadline_reason) if limit.expired() else End.SLOW
        except StoreUnavailable:
            reason = End.UNAVAILABLE
        except OSError:  # the client is gone
            raise
        except Exception:  # a defect of ours, which the client must outlive: what escapes stops an EventSource for ever
            _log.exception("a stream broke")
            reason = End.UNAVAILABLE
        finally:
            self._live = False
            self._limit = None
            self._leave(gone=reason is None)
            self._watches = []  # as the cursors do, they hold this reader
        await self._say_goodbye(reason)
        return reason

    def abandon(self) -> None:
        """Cancel a send that no task waits for any more."""
        if self._sending is not None:
            self._sending.cancel()

    async def _catch_up(self) -> None:
        """A share of each channel in turn until nothing is left, then what goes on beside; then live at once."""
        while True:
            while not (level := self._is_level()) or self._heads is not None:
                if not level:
                    for cursor in self._cursors:
                        await self._advance(cursor)
                await self._tell_live()
            if not (beside := b"".join([watch.take() for watch in self._watches])):
                break
            await self._write(beside)
        self._live = True
        self._bell.clear()

    async def _rest(self) -> None:
        """Wait for a reason to wake: left behind, a heartbeat that is due, or a send that takes too long."""
        while self._live or self._sending is not None:
            # A timer may ring a moment early, by the clock's resolution: what is nearly due is due.
            now = self._loop.time() + 0.001
            beat, limit = self._sent_at + self._limits.heartbeat, self._sent_at + PATIENCE
            if self._sending is not None and now >= limit:
                raise TimeoutError
            if self._sending is None and now >= beat:
                self._sent_at = self._loop.time()
                self._launch(self._heartbeat)
                continue
            await self._ring(min(due for due in (beat, limit, NEVER) if due > now))

    async def _ring(self, due: float) -> None:
        """Wait for the bell, until `due` at the latest."""
        timer = self._loop.call_at(due, self._bell.set)
        try:
            await self._bell.wait()
            self._bell.clear()
        finally:
            timer.cancel()

    def _share(self) -> Room:
        """One chunk."""
        return Room(CHUNK, CHUNK)

    async def _until_room(self) -> None:
        """A send that says nothing waits for the transport as any other; all that is held meanwhile is a position."""
        await self._write(b"")

    async def _write(self, block: bytes) -> None:
        """Send from the stream's own task, once the last send is through. A reader that takes nothing is slow."""
        if not (block and self._sending is None and self._direct_write is not None and self._direct_write(block)):
            async with asyncio.timeout(PATIENCE):
                if self._sending is not None:
                    await asyncio.wait([self._sending])
                await self._send({"type": "http.response.body", "body": block, "more_body": True})
        self._sent_at = self._loop.time()

    async def _say_goodbye(self, reason: End) -> None:
        """Send the last block if the client takes it. After a shutdown or a failure its retry is random."""
        retry = None
        if reason in (End.UNAVAILABLE, End.BUSY):
            retry = jittered(RETRY_UNAVAILABLE, self._limits.random)
        elif reason is End.SHUTDOWN:
            retry = jittered(self._limits.retry_ms, self._limits.random)
        try:
            async with asyncio.timeout(1.0):
                await self._write(sse.end(reason, retry=retry))
        except (TimeoutError, OSError):
            return
