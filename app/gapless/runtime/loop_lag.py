"""Measures by how much the event loop is late for a timer: so long whatever is due waits for what is under way."""

from __future__ import annotations

import asyncio

from gapless.runtime.counters import Histogram

EVERY = 0.5
"""Seconds between two looks."""


class LoopLag:
    """Looks at the running loop from now on, until it is stopped."""

    def __init__(self, seen: Histogram) -> None:
        self._seen = seen
        self._loop = asyncio.get_running_loop()
        self._wait()

    def stop(self) -> None:
        """Look no more."""
        self._timer.cancel()

    def _wait(self) -> None:
        self._due = self._loop.time() + EVERY
        self._timer = self._loop.call_at(self._due, self._look)

    def _look(self) -> None:
        self._seen.observe(max(0.0, self._loop.time() - self._due))
        self._wait()
