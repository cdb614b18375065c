"""One reader's way through its channels, from a cursor to blocks of bytes, for both kinds of response.

`streaming.py` sends each block when it comes; `buffered.py` collects blocks into one answer. A reader costs one
position per channel and nothing else. When there is room to send, the session asks the feed for what the reader lacks.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple

from gapless.channels.around import Around
from gapless.channels.feed import Feed
from gapless.channels.frames import Frame, first_that_fit
from gapless.channels.presence_board import PresenceBoard
from gapless.delivery import sse
from gapless.delivery.channel_cursor import ChannelCursor
from gapless.delivery.end import End
from gapless.delivery.mode import Mode
from gapless.delivery.watch import Watch
from gapless.log.cursor import Position, format_cursor
from gapless.log.entries import Gap
from gapless.log.store import Room


class StreamLimits(NamedTuple):
    """The limits of one reader, in seconds from its start, and what its client is told about them."""

    lifetime: float
    heartbeat: float
    retry_ms: int
    random: float
    deadline_reason: End = End.DEADLINE


class Start(NamedTuple):
    """Where a reader begins: at a cursor, before the last `history` messages, or (without either) from now.

    `unreadable`: the client sent a cursor that says nothing. `oldest`: before the first message of each log, whether
    it is still kept or not.
    """

    cursor: tuple[Position, ...] | None = None
    history: int = 0
    unreadable: bool = False
    oldest: bool = False


class Extras(NamedTuple):
    """What a client asked for beside the messages. `live`: be told once when what was there has been sent.

    `beat`: heartbeats as events. `receipts`: how far each user has got, `presence`: who is there. `user`: is there
    as long as the stream is open. Both on channels that offer it.
    """

    live: bool = False
    beat: bool = False
    receipts: bool = False
    presence: bool = False
    user: str | None = None


PLAIN = Extras()
"""Messages, and nothing beside them."""


class StreamSession:
    """What streams and turns share. They say how a block is written and how much of a channel one turn takes."""

    mode: Mode

    def __init__(self, feeds: Sequence[Feed], start: Start, limits: StreamLimits, extras: Extras = PLAIN) -> None:
        self.messages = 0
        self._start = start
        self._limits = limits
        self._extras = extras
        self._heads: list[Position] | None = None
        """Where each log ended at `hello`, until the client was told that it is past that."""
        self._cursors = [ChannelCursor(self, feed) for feed in feeds]
        self._watches: list[Watch] = []
        self._attends: list[PresenceBoard] = []
        self._alone = len(self._cursors) == 1

    def deliver(self, cursor: ChannelCursor, new: Sequence[Frame], block: bytes, now: float) -> None:
        raise NotImplementedError

    def aside(self, block: bytes, now: float) -> None:
        raise NotImplementedError

    def beside(self, watch: Watch, block: bytes, now: float) -> None:
        raise NotImplementedError

    def fall_behind(self) -> None:
        raise NotImplementedError

    async def _write(self, block: bytes) -> None:
        """Hand these bytes to the client, or keep them for it."""
        raise NotImplementedError

    async def _until_room(self) -> None:
        """Return once the client takes more: nothing is fetched for it before."""

    def _count(self, feed: Feed, gap: Gap) -> None:
        """The client is told of a gap."""
        feed.counters.gaps[gap.reason.value] += 1

    def _share(self) -> Room:
        """As much as one turn of a channel may send."""
        raise NotImplementedError

    # --- the first block

    async def _greet(self) -> None:
        """Say where the reader stands: the position before everything that will be sent. Then listen."""
        for cursor in self._cursors:
            if self._start.cursor is None:
                cursor.feed.want(self._start.history)
            await cursor.feed.ready()
        if self._extras.live:
            self._heads = [cursor.feed.head for cursor in self._cursors]
        if self._start.unreadable:
            await self._write(self._hello(None))
            await self._tell_unknown()
        else:
            for index, cursor in enumerate(self._cursors):
                cursor.position = await self._first(cursor, index)
            await self._write(self._hello(self._joint_cursor()))
        for cursor in self._cursors:
            cursor.feed.audience.join(cursor)
            self._watch(cursor.feed.around)

    async def _first(self, cursor: ChannelCursor, index: int) -> Position:
        if self._start.cursor is not None:
            return self._start.cursor[index]
        if self._start.oldest:
            return await cursor.feed.beginning()
        return await cursor.feed.back(self._start.history)

    async def _tell_unknown(self) -> None:
        """One gap per channel. Only the last carries the new cursor: a client cut off before it is told all again."""
        gaps = [(cursor, await cursor.feed.unknown()) for cursor in self._cursors]
        for cursor, gap in gaps:
            self._count(cursor.feed, gap)
            cursor.position = gap.resume
        told = [sse.block("gap", sse.gap_json(cursor.feed.channel, gap)) for cursor, gap in gaps[:-1]]
        cursor, gap = gaps[-1]
        told.append(sse.block("gap", sse.gap_json(cursor.feed.channel, gap), cursor=self._joint_cursor()))
        await self._write(b"".join(told))

    def _watch(self, around: Around) -> None:
        """What goes on around the messages of a channel, as far as the client wants to know it."""
        if self._extras.receipts and around.receipts is not None:
            self._watches.append(Watch(self, around.receipts))
        if self._extras.presence and around.presence is not None:
            if self._extras.user is not None:
                around.presence.come(self._extras.user)
                self._attends.append(around.presence)
            self._watches.append(Watch(self, around.presence))

    def _leave(self, *, gone: bool) -> None:
        """`gone`: the client left; else the service ends this, and the client comes back."""
        for board in self._attends:
            board.go(self._extras.user or "", gone=gone)
        self._attends.clear()
        for cursor in self._cursors:
            cursor.feed.audience.leave(cursor)
        for watch in self._watches:
            watch.close()
        self._cursors = []  # they hold this reader: a ring that only the collector of garbage would find

    # --- what comes next

    def _is_level(self) -> bool:
        """True where nothing is left to send on any channel."""
        return all(cursor.level() for cursor in self._cursors)

    async def _tell_live(self) -> None:
        """Say once that what was there at `hello` has been sent. To be asked after every channel had its turn, which
        sets right a position that the log does not know."""
        if self._heads is None:
            return
        heads = zip(self._cursors, self._heads, strict=True)
        if all(cursor.level() or cursor.is_past(head) for cursor, head in heads):
            self._heads = None
            await self._write(sse.live(self._joint_cursor()))

    async def _advance(self, cursor: ChannelCursor) -> None:
        """Write what comes next on one channel: a gap, or one share of frames, which only the writing holds."""
        await self._until_room()
        if block := await self._next(cursor):
            await self._write(block)

    async def _next(self, cursor: ChannelCursor) -> bytes:
        """The next block of one channel; none where nothing is left."""
        if cursor.gap is None:
            room = self._share()
            result = cursor.feed.peek(cursor.position) or await cursor.feed.after(cursor.position, room)
            if result.frames and cursor.gap is None:
                chosen = first_that_fit(result.frames, room)
                self.messages += len(chosen)
                return self._encode(cursor, chosen)
            cursor.gap = cursor.gap or result.gap
        if cursor.gap is None:
            return b""
        gap, cursor.gap = cursor.gap, None
        self._count(cursor.feed, gap)
        cursor.position = gap.resume
        return sse.block("gap", sse.gap_json(cursor.feed.channel, gap), cursor=self._joint_cursor())

    # --- bytes

    def _encode(self, cursor: ChannelCursor, new: Sequence[Frame]) -> bytes:
        """These frames as one chunk, each under the cursor that holds after it; moves the cursor's position."""
        if self._alone:
            cursor.position = new[-1].position
            return b"".join([frame.block for frame in new])
        parts: list[bytes | memoryview] = []
        for frame in new:
            cursor.position = frame.position
            parts += frame.under(format_cursor(self._joint_cursor()).encode())
        return b"".join(parts)

    def _joint_cursor(self) -> list[Position]:
        return [cursor.position for cursor in self._cursors]

    def _hello(self, cursor: list[Position] | None) -> bytes:
        return sse.hello(
            cursor,
            [cursor.feed.channel for cursor in self._cursors],
            heartbeat=self._limits.heartbeat,
            lifetime=self._limits.lifetime,
            mode=self.mode.value,
            retry=self._limits.retry_ms,
            features={cursor.feed.channel: cursor.feed.features for cursor in self._cursors if cursor.feed.features},
        )
