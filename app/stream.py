"""A stream: a cursor, a deadline, a heartbeat; nothing else per connection.

The hot path is `deliver`: a feed calls it for every reader of a channel, from one place, with bytes that were encoded
once. Whoever can't take them at once is left behind with its position, and catches up in its own task: from the feed's
tail, else from the log, else after a gap. So a slow reader costs a position and one chunk, never a queue.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Coroutine, MutableMapping, Sequence
from dataclasses import dataclass
from typing import Any

from app import frames
from app.cursor import Position, format_cursor
from app.eager import begin
from app.errors import StoreUnavailable
from app.events import End, Gap
from app.feed import Feed
from app.frames import Frame
from app.policy import Mode, jittered
from app.schedule import NEVER

Send = Callable[[MutableMapping[str, Any]], Coroutine[Any, Any, None]]

CHUNK = 65_536
"""Bytes after which a chunk of a backlog is sent: with the transport's own buffer, all that a reader can hold here."""
PATIENCE = 20.0
"""Seconds for which a reader may take nothing before its stream ends (`slow`)."""
RETRY_UNAVAILABLE = 5000
"""Milliseconds before a client comes back to a service that can't serve it now."""


@dataclass(frozen=True, slots=True)
class Terms:
    """What a stream is held to: seconds from its start, and what its client is told."""

    lifetime: float
    heartbeat: float
    retry_ms: int
    dice: float
    last_word: End = End.DEADLINE


@dataclass(frozen=True, slots=True)
class Start:
    """Where a stream begins: at a cursor, before the last `history` messages, or (both None) from now.

    `unreadable`: the client sent a cursor that says nothing.
    """

    cursor: tuple[Position, ...] | None = None
    history: int = 0
    unreadable: bool = False


class Lane:
    """One channel of a stream: the position up to which its reader was sent everything."""

    __slots__ = ("feed", "gap", "position", "stream")

    def __init__(self, stream: Stream, feed: Feed) -> None:
        self.stream = stream
        self.feed = feed
        self.position: Position = feed.head
        self.gap: Gap | None = None

    def push(self, new: Sequence[Frame], block: bytes, now: float) -> None:
        """See Reader."""
        self.stream.deliver(self, new, block, now)

    def rewind(self, gap: Gap) -> None:
        """See Reader."""
        self.gap = gap
        self.stream.fall_behind()

    def wake(self) -> None:
        """See Reader."""
        self.stream.fall_behind()

    def level(self) -> bool:
        """True where nothing is left to send: from this moment on the feed may push."""
        held = self.feed.peek(self.position)
        return self.gap is None and held is not None and not held.frames


class Stream:
    """One reader of one or many channels, until its deadline."""

    mode = Mode.STREAMING

    def __init__(self, feeds: Sequence[Feed], start: Start, terms: Terms) -> None:
        self.messages = 0
        self._start = start
        self._terms = terms
        self._loop = asyncio.get_running_loop()
        self._lanes = [Lane(self, feed) for feed in feeds]
        self._alone = len(self._lanes) == 1
        self._bell = asyncio.Event()
        self._live = False
        self._sending: asyncio.Future[None] | None = None
        self._sent_at = self._loop.time()
        self._stopped: End | None = None
        self._limit: asyncio.Timeout | None = None
        self._send: Send

    # --- live: called by feeds, for every stream of a channel

    def deliver(self, lane: Lane, new: Sequence[Frame], block: bytes, now: float) -> None:
        """Send these frames at once, or leave the reader behind with its position."""
        if not self._live:
            return
        if self._sending is not None:
            self._live = False
            return
        self.messages += len(new)
        self._sent_at = now
        if self._alone:
            lane.position = new[-1].position
        else:
            block = self._encode(lane, new)
        self._launch(block)

    def _launch(self, block: bytes) -> None:
        sending = begin(self._send({"type": "http.response.body", "body": block, "more_body": True}), self._loop)
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
        """Something other than the next frames has come up: go and ask the feed."""
        self._live = False
        self._bell.set()

    def stop(self, reason: End) -> None:
        """End as soon as possible, for this reason."""
        self._stopped = self._stopped or reason
        if self._limit is not None and not self._limit.expired():
            self._limit.reschedule(self._loop.time())

    # --- the stream's own task

    async def run(self, send: Send) -> End:
        """Say hello, then send everything, until the deadline or a reason to stop; says why, and returns it."""
        self._send = send
        deadline = self._loop.time() + (0 if self._stopped else self._terms.lifetime)
        self._limit = limit = asyncio.timeout_at(deadline)
        try:
            async with limit:
                await self._greet()
                while True:
                    await self._catch_up()
                    await self._rest()
        except TimeoutError:
            reason = (self._stopped or self._terms.last_word) if limit.expired() else End.SLOW
        except StoreUnavailable:
            reason = End.UNAVAILABLE
        finally:
            self._leave()
        await self._say_goodbye(reason)
        return reason

    def abandon(self) -> None:
        """Let go of a send that nobody waits for any more."""
        if self._sending is not None:
            self._sending.cancel()

    async def _greet(self) -> None:
        """The first block: the position before everything that will be sent."""
        for lane in self._lanes:
            await lane.feed.ready()
        if self._start.unreadable:
            await self._write(self._hello(None))
            await self._tell_unknown()
        else:
            for index, lane in enumerate(self._lanes):
                lane.position = await self._first(lane, index)
            await self._write(self._hello(self._cursor()))
        for lane in self._lanes:
            lane.feed.readers[lane] = None

    async def _first(self, lane: Lane, index: int) -> Position:
        if self._start.cursor is not None:
            return self._start.cursor[index]
        return await lane.feed.back(self._start.history)

    async def _tell_unknown(self) -> None:
        """One gap per channel. Only the last carries the new cursor: a client cut off before it is told all again."""
        gaps = [(lane, await lane.feed.unknown()) for lane in self._lanes]
        for lane, gap in gaps:
            lane.position = gap.resume
        told = [frames.block("gap", frames.gap_json(lane.feed.channel, gap)) for lane, gap in gaps[:-1]]
        lane, gap = gaps[-1]
        told.append(frames.block("gap", frames.gap_json(lane.feed.channel, gap), cursor=self._cursor()))
        await self._write(b"".join(told))

    async def _catch_up(self) -> None:
        """A page of each channel in turn until nothing is left; then live, with no moment between."""
        while not all(lane.level() for lane in self._lanes):
            for lane in self._lanes:
                await self._advance(lane)
        self._live = True
        self._bell.clear()

    async def _advance(self, lane: Lane) -> None:
        """Send what comes next on one channel: a gap, or one chunk of frames."""
        if lane.gap is None:
            stretch = lane.feed.peek(lane.position) or await lane.feed.after(lane.position)
            if stretch.frames and lane.gap is None:
                chosen = self._share(stretch.frames)
                self.messages += len(chosen)
                await self._write(self._encode(lane, chosen))
                return
            lane.gap = lane.gap or stretch.gap
        if lane.gap is not None:
            gap, lane.gap = lane.gap, None
            lane.position = gap.resume
            await self._write(frames.block("gap", frames.gap_json(lane.feed.channel, gap), cursor=self._cursor()))

    async def _rest(self) -> None:
        """Wait for a reason to wake: left behind, a heartbeat that is due, or a send that takes too long."""
        while self._live or self._sending is not None:
            # A timer may ring a moment early, by the clock's resolution: what is nearly due is due.
            now = self._loop.time() + 0.001
            beat, limit = self._sent_at + self._terms.heartbeat, self._sent_at + PATIENCE
            if self._sending is not None and now >= limit:
                raise TimeoutError
            if self._sending is None and now >= beat:
                self._sent_at = self._loop.time()
                self._launch(frames.HEARTBEAT)
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

    async def _write(self, block: bytes) -> None:
        """Send from the stream's own task, once the last send is through. A reader that takes nothing is slow."""
        async with asyncio.timeout(PATIENCE):
            if self._sending is not None:
                await asyncio.wait([self._sending])
            await self._send({"type": "http.response.body", "body": block, "more_body": True})
        self._sent_at = self._loop.time()

    async def _say_goodbye(self, reason: End) -> None:
        """The last block, as best it can. After a shutdown or a failure the clients come back spread out."""
        retry = None
        if reason in (End.UNAVAILABLE, End.BUSY):
            retry = jittered(RETRY_UNAVAILABLE, self._terms.dice)
        elif reason is End.SHUTDOWN:
            retry = jittered(self._terms.retry_ms, self._terms.dice)
        try:
            async with asyncio.timeout(1.0):
                await self._write(frames.end(reason, retry=retry))
        except (TimeoutError, OSError):
            return

    def _leave(self) -> None:
        self._live = False
        self._limit = None
        for lane in self._lanes:
            lane.feed.readers.pop(lane, None)

    # --- bytes

    def _share(self, new: Sequence[Frame]) -> Sequence[Frame]:
        """As many of these frames as one turn of a channel may send."""
        return fit(new, CHUNK)

    def _encode(self, lane: Lane, new: Sequence[Frame]) -> bytes:
        """These frames as one chunk, each under the cursor that holds after it; moves the lane's position."""
        if self._alone:
            lane.position = new[-1].position
            return b"".join([frame.block for frame in new])
        parts: list[bytes | memoryview] = []
        for frame in new:
            lane.position = frame.position
            parts += frame.under(format_cursor(self._cursor()).encode())
        return b"".join(parts)

    def _cursor(self) -> list[Position]:
        return [lane.position for lane in self._lanes]

    def _hello(self, cursor: list[Position] | None) -> bytes:
        return frames.hello(
            cursor,
            [lane.feed.channel for lane in self._lanes],
            heartbeat=self._terms.heartbeat,
            lifetime=self._terms.lifetime,
            mode=self.mode.value,
            retry=self._terms.retry_ms,
        )


def fit(new: Sequence[Frame], most: int) -> Sequence[Frame]:
    """As many of these frames as fit so many bytes, but at least one."""
    size = 0
    for count, frame in enumerate(new):
        size += frame.size
        if size > most and count:
            return new[:count]
    return new
