"""Whether the store can be written to and heard: one check serves all who ask."""

from __future__ import annotations

import asyncio
from typing import NamedTuple

from gapless.log.errors import StoreUnavailable
from gapless.log.store import Store
from gapless.runtime.tasks import end

KEPT = 1.0
"""Seconds for which an answer holds: a thousand who ask in one of them cost the store what one does."""


class Answer(NamedTuple):
    """`seconds`: what the check took. `error`: why nothing can be published or heard."""

    seconds: float
    error: StoreUnavailable | None = None


class Readiness:
    """Runs one check at a time, for all who ask. `close` ends it."""

    def __init__(self, store: Store) -> None:
        self._store = store
        self._answer: Answer | None = None
        self._until = 0.0
        self._checking: asyncio.Task[Answer] | None = None

    async def ask(self) -> Answer:
        """The last answer while it is fresh, else the answer of the check that runs now."""
        loop = asyncio.get_running_loop()
        if self._answer is not None and loop.time() < self._until:
            return self._answer
        if self._checking is None:
            self._checking = loop.create_task(self._check(), name="gapless readiness")
        return await asyncio.shield(self._checking)

    async def close(self) -> None:
        """End what is under way."""
        if self._checking is not None:
            await end(self._checking)

    async def _check(self) -> Answer:
        loop = asyncio.get_running_loop()
        began, error = loop.time(), None
        try:
            await self._store.check()
        except StoreUnavailable as found:
            error = found
        finally:
            self._checking = None
        self._answer, self._until = Answer(loop.time() - began, error), loop.time() + KEPT
        return self._answer
