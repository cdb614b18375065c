"""Whether SUBSCRIBE is worth a try. All upstreams of a process share the answer."""

from __future__ import annotations

import asyncio
import contextlib

TRY_AGAIN = (5.0, 60.0)
"""Seconds after a refusal before SUBSCRIBE is tried again: at first, and, doubled each time, at most."""


class Gate:
    """Open until SUBSCRIBE is refused. After each pause one upstream tries; the first success opens it for all."""

    def __init__(self) -> None:
        self._open = asyncio.Event()
        self._open.set()
        self._pause = TRY_AGAIN[0]
        self._next = 0.0

    @property
    def refused(self) -> bool:
        """SUBSCRIBE did not work when it was last tried."""
        return not self._open.is_set()

    def may_try(self) -> bool:
        """True where the caller should try now; while it does, nobody else need."""
        now = asyncio.get_running_loop().time()
        if self.refused and now < self._next:
            return False
        self._next = now + self._pause
        return True

    def refuse(self) -> None:
        """It was refused, or has failed too often."""
        self._open.clear()
        self._next = asyncio.get_running_loop().time() + self._pause
        self._pause = min(self._pause * 2, TRY_AGAIN[1])

    def accept(self) -> None:
        """It works, as it seems."""
        self._open.set()

    def reset_backoff(self) -> None:
        """It has worked for a while."""
        self._pause = TRY_AGAIN[0]

    async def reopened(self) -> None:
        """Return when it is worth another try."""
        with contextlib.suppress(TimeoutError):
            async with asyncio.timeout_at(self._next):
                await self._open.wait()
