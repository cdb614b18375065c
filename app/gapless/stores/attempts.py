"""What may be sent again after a failure, and what never: one rule for all stores."""

from __future__ import annotations

import asyncio
import itertools
from collections.abc import Awaitable, Callable
from typing import TypeVar

from gapless.log.errors import CorruptLog, StoreUnavailable
from gapless.log.publication import Publication
from gapless.log.store import DEADLINE
from gapless.stores.refusals import Later, PermanentError

PAUSES = (0.1,)
"""Seconds before a second attempt; as many attempts more as there are pauses."""

LATER = (0.1, 0.2, 0.4, 0.8, 1.0)
"""The same where the server has said that it can't serve now: a failover, or a start, takes seconds."""

T = TypeVar("T")


class Attempts:
    """The attempts at one publication: `next` is what to send now, `sent` what was sent last."""

    def __init__(self, publication: Publication) -> None:
        self.sent = publication
        self._begun = False

    def next(self) -> Publication:
        """Each attempt goes under marks of its own (`Publication.again`)."""
        if self._begun:
            self.sent = self.sent.again()
        self._begun = True
        return self.sent


async def persist(attempt: Callable[[], Awaitable[T]], *, repeatable: bool) -> T:
    """Try, and try again after StoreUnavailable where that is harmless, for DEADLINE seconds in all.

    The limit is a cancellation and no task of its own, which would make each publish dearer (17 µs); what becomes of a
    feed when a library swallows the cancellation is seen to in `channels/bounded.py`.

    A read is harmless, and so is a write whose every message has an idempotency key. Any other write is repeated only
    where nothing was sent. `outcome_unknown` of the error that is raised in the end says whether anything may have been
    written: once one attempt's outcome is unknown, it stays so.
    """
    try:
        async with asyncio.timeout(DEADLINE) as limit:
            return await _persist(attempt, repeatable=repeatable)
    except TimeoutError:
        if not limit.expired():
            raise
        raise StoreUnavailable(f"the store has not answered for {DEADLINE:g} s", outcome_unknown=True) from None


async def _persist(attempt: Callable[[], Awaitable[T]], *, repeatable: bool) -> T:
    unknown = False
    for failures in itertools.count():
        try:
            return await attempt()
        except StoreUnavailable as error:
            pauses = LATER if isinstance(error, Later) else PAUSES
            unknown = unknown or error.outcome_unknown
            final = isinstance(error, (CorruptLog, PermanentError)) or (error.outcome_unknown and not repeatable)
            if final or failures >= len(pauses):
                error.outcome_unknown = unknown
                raise
        await asyncio.sleep(pauses[failures])
    raise AssertionError("the last attempt returns or raises")
