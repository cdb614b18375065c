"""Notices that a question of a feed to its store has outlived the store's own deadline (`log/store.py`).

That deadline relies on cancellation, and libraries lose cancellations now and then: before Python 3.12
`wait_for` swallows some, and others reach the wrong task. If the one task of a feed waited for ever, the feed would
receive nothing and report nothing.
"""

from __future__ import annotations

import asyncio
import contextlib
import logging
from collections.abc import Coroutine
from typing import Any, TypeVar

from gapless.auth.rates import TRAFFIC_UNIT
from gapless.channels.paying import charge
from gapless.log.cursor import Position
from gapless.log.entries import Entry
from gapless.log.errors import StoreUnavailable
from gapless.log.presence import Attendance, Living
from gapless.log.receipts import Marks
from gapless.log.store import DEADLINE, MOST_BYTES, NEWEST, SLICE, TAIL, Listener, Slice, Store, Subscription
from gapless.runtime.tasks import end

LIMIT = 2 * DEADLINE
"""Seconds after which the store's deadline has been lost: a defect, which the log is told of. Twice as long, so that a
process that was held up is not taken for one."""

T = TypeVar("T")
_log = logging.getLogger("gapless.store")
_given_up: set[asyncio.Task[None]] = set()
"""Ends of questions, until they have ended: the loop itself would forget them."""


class BoundedStore:
    """The part of `store` that feeds use. Its reads raise StoreUnavailable after LIMIT, too, and are paid for."""

    def __init__(self, store: Store) -> None:
        self._store = store

    async def tail(self, channel: str, count: int, most: int | None = None) -> list[Entry]:
        charge(TAIL if most is None else NEWEST)
        entries = await bounded(self._store.tail(channel, count, most))
        charge(sum(len(entry.body) for entry in entries) // TRAFFIC_UNIT)
        return entries

    async def slice(
        self,
        channel: str,
        first: int,
        last: int,
        *,
        most: int = MOST_BYTES,
        back: bool = False,
        beside: Position | None = None,
    ) -> Slice:
        charge(SLICE)
        found = await bounded(self._store.slice(channel, first, last, most=most, back=back, beside=beside))
        charge(sum(len(entry.body) for entry in found.entries) // TRAFFIC_UNIT)
        return found

    async def marks(self, channel: str) -> dict[str, Marks]:
        return await bounded(self._store.marks(channel))

    async def attend(self, asked: Attendance) -> Living:
        return await bounded(self._store.attend(asked))

    @property
    def tells_asides(self) -> bool:
        return self._store.tells_asides

    async def subscribe(self, channel: str, listener: Listener) -> Subscription:
        """The store's own limit holds here: it waits for an acknowledgement, and for no library."""
        return await self._store.subscribe(channel, listener)


async def bounded(question: Coroutine[Any, Any, T]) -> T:
    """Its answer within LIMIT. A caller that is cancelled meanwhile leaves nothing behind."""
    task = asyncio.create_task(question)
    try:
        await asyncio.wait([task], timeout=LIMIT)
    except asyncio.CancelledError:
        with contextlib.suppress(Exception):
            await end(task)
        raise
    if not task.done():
        _log.error("a question to the store has not come back for %g s, and is given up: %r", LIMIT, task)
        _given_up.add(ending := asyncio.create_task(end(task)))
        ending.add_done_callback(_given_up.discard)
        raise StoreUnavailable(f"the store has not answered for {LIMIT:g} s")
    if task.cancelled():
        raise StoreUnavailable("a question to the store was broken off")
    return task.result()
