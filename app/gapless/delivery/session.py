"""A reader's way through its channels: from a cursor to blocks of bytes, whatever carries them.

`stream.py` sends the blocks as they come; `turn.py` gathers them into one answer. Each reader costs a position per
channel and nothing else: what it lacks is asked of the feed, whenever there is room to send it.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from app import frames
from app.cursor import Position, format_cursor
from app.events import End
from app.feed import Feed
from app.frames import Frame
from app.lane import Lane
from app.policy import Mode
from app.store import Room

RETRY_UNAVAILABLE = 5000
"""Milliseconds before a client comes back to a service that can't serve it now."""


@dataclass(frozen=True, slots=True)
class Terms:
    """What a reader is held to: seconds from its start, and what its client is told."""

    lifetime: float
    heartbeat: float
    retry_ms: int
    dice: float
    last_word: End = End.DEADLINE


@dataclass(frozen=True, slots=True)
class Start:
    """Where a reader begins: at a cursor, before the last `history` messages, or (both None) from now.

    `unreadable`: the client sent a cursor that says nothing.
    """

    cursor: tuple[Position, ...] | None = None
    history: int = 0
    unreadable: bool = False


class Reading:
    """What streams and turns share. They say how a block is written and how much of a channel one turn takes."""

    mode: Mode

    def __init__(self, feeds: Sequence[Feed], start: Start, terms: Terms) -> None:
        self.messages = 0
        self._start = start
        self._terms = terms
        self._lanes = [Lane(self, feed) for feed in feeds]
        self._alone = len(self._lanes) == 1

    def deliver(self, lane: Lane, new: Sequence[Frame], block: bytes, now: float) -> None:
        """See lane.Carrier."""
        raise NotImplementedError

    def fall_behind(self) -> None:
        """See lane.Carrier."""
        raise NotImplementedError

    async def _write(self, block: bytes) -> None:
        """Hand these bytes to the client, or keep them for it."""
        raise NotImplementedError

    async def _until_room(self) -> None:
        """Return once the client takes more: nothing is fetched for it before."""

    def _share(self) -> Room:
        """As much as one turn of a channel may send."""
        raise NotImplementedError

    # --- the first block

    async def _greet(self) -> None:
        """Say where the reader stands: the position before everything that will be sent. Then listen."""
        for lane in self._lanes:
            if self._start.cursor is None:
                lane.feed.want(self._start.history)
            await lane.feed.ready()
        if self._start.unreadable:
            await self._write(self._hello(None))
            await self._tell_unknown()
        else:
            for index, lane in enumerate(self._lanes):
                lane.position = await self._first(lane, index)
            await self._write(self._hello(self._cursor()))
        for lane in self._lanes:
            lane.feed.audience.join(lane)

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

    def _leave(self) -> None:
        for lane in self._lanes:
            lane.feed.audience.leave(lane)

    # --- what comes next

    async def _advance(self, lane: Lane) -> None:
        """Write what comes next on one channel: a gap, or one share of frames, which only the writing holds."""
        await self._until_room()
        if block := await self._next(lane):
            await self._write(block)

    async def _next(self, lane: Lane) -> bytes:
        """The next block of one channel; none where nothing is left."""
        if lane.gap is None:
            room = self._share()
            stretch = lane.feed.peek(lane.position) or await lane.feed.after(lane.position, room)
            if stretch.frames and lane.gap is None:
                chosen = fit(stretch.frames, room)
                self.messages += len(chosen)
                return self._encode(lane, chosen)
            lane.gap = lane.gap or stretch.gap
        if lane.gap is None:
            return b""
        gap, lane.gap = lane.gap, None
        lane.position = gap.resume
        return frames.block("gap", frames.gap_json(lane.feed.channel, gap), cursor=self._cursor())

    # --- bytes

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


def fit(new: Sequence[Frame], room: Room) -> Sequence[Frame]:
    """As many of the oldest of these frames as fit, but at least one."""
    size = 0
    for count, frame in enumerate(new[: room.messages]):
        size += frame.size
        if size > room.size and count:
            return new[:count]
    return new[: room.messages]
