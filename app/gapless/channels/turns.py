"""Has the feeds of one user begin a few at a time.

A client may ask for many channels at once that nobody reads yet. Each needs a subscription and a read: together they
would take every connection to the store, and everybody else's post would wait for one.
"""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Callable
from contextlib import AbstractAsyncContextManager, asynccontextmanager
from weakref import WeakValueDictionary

AT_ONCE = 8
"""Feeds of one user, or of one address without users, that begin at the same time."""
PATIENCE = 1.0
"""Seconds after which a feed begins in any case: where the store is silent, it has to find out for itself."""

Turn = Callable[[], AbstractAsyncContextManager[None]]


class Turns:
    """The turns of all users of a process. Nothing is remembered of a user whose feeds have begun."""

    def __init__(self) -> None:
        self._places: WeakValueDictionary[str, asyncio.Semaphore] = WeakValueDictionary()

    @asynccontextmanager
    async def take(self, user: str) -> AsyncIterator[None]:
        """Wait for a turn; the block is it."""
        places = self._places.setdefault(user, asyncio.Semaphore(AT_ONCE))
        waited = await _acquire(places)
        try:
            yield
        finally:
            if waited:
                places.release()


async def _acquire(places: asyncio.Semaphore) -> bool:
    """Whether there was a place in time."""
    try:
        async with asyncio.timeout(PATIENCE):
            return await places.acquire()
    except TimeoutError:
        return False
