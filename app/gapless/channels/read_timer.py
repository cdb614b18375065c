"""Wakes a feed's task when it has to read: a Schedule on the event loop's clock, and an event for other reasons."""

from __future__ import annotations

import asyncio
import contextlib

from gapless.channels.schedule import NEVER, Schedule

EARLY = 1e-6
"""Seconds by which a loop's timers may be early: waiting once more for so little would be waiting for nothing."""


class ReadTimer:
    """One task sleeps in `due`; other tasks may wake it. `recheck`: seconds."""

    def __init__(self, recheck: float) -> None:
        self._loop = asyncio.get_running_loop()
        self._schedule = Schedule(recheck)
        self._bell = asyncio.Event()
        self._sleeps_until = NEVER
        self._read = asyncio.Event()

    def ask(self, delay: float = 0.0) -> None:
        """Have the log read in `delay` seconds at the latest."""
        self._schedule.ask(self._loop.time() + delay)
        self._bell.set()

    def noticed(self) -> None:
        """A notice has come: a read may be due earlier, for the silence after it."""
        self._schedule.noticed(self._loop.time())
        if self._schedule.next() < self._sleeps_until:
            self._bell.set()

    async def next_read(self) -> None:
        """Wait for a read, at most one a second, or for the end of all reading."""
        self._schedule.ask_again(self._loop.time())
        self._bell.set()
        self._read.clear()
        await self._read.wait()

    # --- the task

    async def due(self) -> None:
        """Return when there is a reason to read."""
        while self._loop.time() < (due := self._schedule.next()) - EARLY:
            self._bell.clear()
            self._sleeps_until = due
            with contextlib.suppress(TimeoutError):
                async with asyncio.timeout_at(due):
                    await self._bell.wait()

    def began(self) -> float:
        """A read begins: the loop's time."""
        now = self._loop.time()
        self._schedule.began(now)
        return now

    def ended(self) -> None:
        """A read has ended, well, or for good: every task that waited for one goes on."""
        self._read.set()
