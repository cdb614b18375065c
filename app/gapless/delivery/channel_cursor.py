"""One channel of a reader: its position, and the sink that gets its frames."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Protocol

from gapless.channels.feed import Feed
from gapless.channels.frames import Frame
from gapless.log.cursor import Position
from gapless.log.entries import Gap


class FrameSink(Protocol):
    """Gets what is new on a cursor. All methods are called on the event loop and must not block or raise."""

    def deliver(self, cursor: ChannelCursor, new: Sequence[Frame], block: bytes, now: float) -> None:
        """These frames come next on this cursor; `block` is all of them, encoded for a reader of this channel alone."""

    def aside(self, block: bytes, now: float) -> None:
        """An event that is no message: send it if the client keeps up, else let it go."""

    def fall_behind(self) -> None:
        """Something else than the next frames has come: ask the feed."""


class ChannelCursor:
    """One channel of a reader: the position up to which it was sent everything."""

    __slots__ = ("feed", "gap", "position", "sink")

    def __init__(self, sink: FrameSink, feed: Feed) -> None:
        self.sink = sink
        self.feed = feed
        self.position: Position = feed.head
        self.gap: Gap | None = None

    def push(self, new: Sequence[Frame], block: bytes, now: float) -> None:
        self.sink.deliver(self, new, block, now)

    def aside(self, block: bytes, now: float) -> None:
        self.sink.aside(block, now)

    def rewind(self, gap: Gap) -> None:
        self.gap = gap
        self.sink.fall_behind()

    def wake(self) -> None:
        self.sink.fall_behind()

    def is_past(self, head: Position) -> bool:
        """True where everything up to `head` was sent, or told of as a gap."""
        return self.gap is None and (head.nowhere or self.position[:2] >= head[:2])

    def level(self) -> bool:
        """True where nothing is left to send: from this moment on the feed may push."""
        held = self.feed.peek(self.position)
        return self.gap is None and held is not None and not held.frames
