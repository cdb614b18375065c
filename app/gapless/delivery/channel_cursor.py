"""One channel of a reader: how far it has come, and whom its news goes to."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Protocol

from app.cursor import Position
from app.events import Gap
from app.feed import Feed
from app.frames import Frame


class Carrier(Protocol):
    """What takes a lane's news. Both are called on the event loop and must not block or raise."""

    def deliver(self, lane: Lane, new: Sequence[Frame], block: bytes, now: float) -> None:
        """These frames come next on this lane; `block` is all of them, encoded for a reader of this channel alone."""

    def fall_behind(self) -> None:
        """Something other than the next frames has come up: go and ask the feed."""


class Lane:
    """One channel of a reader: the position up to which it was sent everything."""

    __slots__ = ("carrier", "feed", "gap", "position")

    def __init__(self, carrier: Carrier, feed: Feed) -> None:
        self.carrier = carrier
        self.feed = feed
        self.position: Position = feed.head
        self.gap: Gap | None = None

    def push(self, new: Sequence[Frame], block: bytes, now: float) -> None:
        """See audience.Reader."""
        self.carrier.deliver(self, new, block, now)

    def rewind(self, gap: Gap) -> None:
        """See audience.Reader."""
        self.gap = gap
        self.carrier.fall_behind()

    def wake(self) -> None:
        """See audience.Reader."""
        self.carrier.fall_behind()

    def level(self) -> bool:
        """True where nothing is left to send: from this moment on the feed may push."""
        held = self.feed.peek(self.position)
        return self.gap is None and held is not None and not held.frames
