"""Waiting for what comes next on a channel."""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import Sequence

from gapless.channels.feed import Feed
from gapless.channels.frames import Frame
from gapless.log.cursor import Position
from gapless.log.entries import Gap


class _Waiter:
    """A reader that only waits until there is something to read."""

    def __init__(self, position: Position) -> None:
        self.position = position
        self.bell = asyncio.Event()

    def push(self, frames: Sequence[Frame], block: bytes, now: float) -> None:
        self.bell.set()

    def aside(self, block: bytes, now: float) -> None:
        """Long polls wait for messages."""

    def rewind(self, gap: Gap) -> None:
        self.bell.set()

    def wake(self) -> None:
        self.bell.set()


async def news(feed: Feed, position: Position, until: float) -> None:
    """Return as soon as the feed has something after `position`, or at loop time `until`."""
    waiter = _Waiter(position)
    feed.audience.join(waiter)
    try:
        held = feed.peek(position)
        if held is not None and not held.frames:
            with contextlib.suppress(TimeoutError):
                async with asyncio.timeout_at(until):
                    await waiter.bell.wait()
    finally:
        feed.audience.leave(waiter)
