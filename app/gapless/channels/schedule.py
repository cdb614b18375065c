"""When a feed reads the log next. Pure: `now` is any clock's seconds.

A read costs money, so each one has a reason. The recheck bounds how late a message is whose notice was lost. A reader
may ask. And the feed reads once when notices stop, because the last one may be lost.
"""

from __future__ import annotations

NEVER = float("inf")
QUIET_AFTER = 3.0
"""Seconds of silence after a notice before the log is read for a lost last one."""
QUIET_EVERY = 60.0
"""At most so often (seconds) for that reason."""
REREAD = 1.0
"""Seconds between reads that wait for the log to change its mind."""


class Schedule:
    """The reasons to read, and the earliest of them."""

    def __init__(self, recheck: float) -> None:
        self._recheck = recheck
        self._recheck_at = NEVER
        self._asked_at = NEVER
        self._last_read = self._last_notice = self._last_quiet = -NEVER
        self._silent = False  # no read was for the silence after the last notice

    def ask(self, at: float) -> None:
        """Read at `at` at the latest."""
        self._asked_at = min(self._asked_at, at)

    def ask_again(self, now: float) -> None:
        """Read soon, but not more often than once a second."""
        self.ask(max(now, self._last_read + REREAD))

    def noticed(self, now: float) -> None:
        """A notice arrived."""
        self._last_notice = now
        self._silent = True

    def began(self, now: float) -> None:
        """A read begins: it answers every question asked before."""
        if now >= self._quiet_at():
            self._last_quiet = now
            self._silent = False
        self._last_read = now
        self._recheck_at = now + self._recheck
        self._asked_at = NEVER

    def next(self) -> float:
        """When to read next."""
        return min(self._recheck_at, self._asked_at, self._quiet_at())

    def _quiet_at(self) -> float:
        if not self._silent:
            return NEVER
        return max(self._last_notice + QUIET_AFTER, self._last_quiet + QUIET_EVERY)
