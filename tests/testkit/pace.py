"""How fast publishers post: as fast as this process keeps up, so that it is the service that is measured."""

from __future__ import annotations

import asyncio

TICK = 0.1
"""Seconds between two looks at how late the loop is."""
LATE = 0.1
"""Seconds by which it may be late before everybody slows down."""
LONGEST = 5.0


class Pace:
    """`seconds`: the pause between two posts of one publisher, never below `shortest`."""

    def __init__(self, shortest: float) -> None:
        self.seconds = shortest * 2
        self.worst = 0.0
        """By how much the loop was late at most, in seconds."""
        self.mean = self.seconds
        """Of late."""
        self._shortest = shortest

    def feel(self, late: float) -> None:
        """The loop was so late: slow down at once, or speed up little by little."""
        self.worst = max(self.worst, late)
        factor = 1.3 if late > LATE else 0.95
        self.seconds = min(max(self.seconds * factor, self._shortest), LONGEST)
        self.mean += (self.seconds - self.mean) / 1000

    async def keep(self) -> None:
        """Look, for ever."""
        loop = asyncio.get_running_loop()
        while True:
            due = loop.time() + TICK
            await asyncio.sleep(TICK)
            self.feel(loop.time() - due)
