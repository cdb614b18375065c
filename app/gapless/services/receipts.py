"""Receipts: a user says how far he has got in a channel; everybody who may read the channel sees it."""

from __future__ import annotations

import asyncio
import math
from collections.abc import Callable

from gapless.auth.rates import NETWORK_TIMES, Buckets
from gapless.channels.feeds import Feeds, Visitor
from gapless.log.errors import TooMany, Unprocessable
from gapless.log.receipts import AHEAD, Marks, Receipt, format_receipt
from gapless.log.store import Store
from gapless.services.publishing import Sender

PER_SECOND = 5
"""Updates of one user on one channel, a minute's worth at once; of an address without a token four times that. Counted
in the process."""


class Receipts:
    """Raises and reads the marks of any channel. `clock` tells Unix seconds."""

    def __init__(self, store: Store, feeds: Feeds, clock: Callable[[], float]) -> None:
        self._store = store
        self._feeds = feeds
        self._clock = clock
        self._updates = Buckets(PER_SECOND * 60)
        self._addresses = Buckets(PER_SECOND * 60 * NETWORK_TIMES)

    async def put(self, channel: str, user: str, marks: Marks, sender: Sender) -> Marks:
        """Raise a user's marks; returns those that hold now.

        Raises Unprocessable for a log that has not begun yet, TooMany, StoreUnavailable.
        """
        now = self._clock()
        for mark in marks:
            if mark is not None and mark.began > now + AHEAD:
                raise Unprocessable(f"{mark} is of a log that has not begun: it is no id of this channel.")
        self._count(channel, user, sender)
        held, rose = await self._store.raise_marks(Receipt(channel, user, marks, int(now * 1000)))
        if rose:
            self._feeds.aside(channel, format_receipt(user, held))
        else:
            sender.pay(1)
        return held

    def _count(self, channel: str, user: str, sender: Sender) -> None:
        """Raises TooMany. Without tokens anybody takes as many names as he likes: then his address counts, too."""
        now = asyncio.get_running_loop().time()
        counted = ((self._updates, f"{channel} {user}"), (self._addresses, f"{channel} {sender.subject}"))
        if wait := max(buckets.wait(name, 1, now) for buckets, name in counted):
            what = "Too many receipts of this user or address; send the newest alone."
            raise TooMany(what, wait, retryAfterMs=math.ceil(wait * 1000))
        for buckets, name in counted:
            buckets.add(name, 1, now)

    async def all(self, channel: str, visitor: Visitor) -> dict[str, Marks]:
        """Every mark of a channel. One command, which the visitor pays."""
        visitor.pay(1)
        return await self._store.marks(channel)
