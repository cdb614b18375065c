"""Presence without a stream: who is on a channel, and leaving it now."""

from __future__ import annotations

import asyncio
import math

from gapless.auth.rates import Buckets
from gapless.channels.feeds import Feeds, Visitor
from gapless.log.errors import TooMany
from gapless.log.presence import Attendance, Living, format_notice
from gapless.log.store import Store
from gapless.services.publishing import Sender

PER_MINUTE = 60
"""Leaves of one user on one channel, all at once; counted in the process."""


class Presence:
    """Asks the store. `lease` in seconds."""

    def __init__(self, store: Store, feeds: Feeds, lease: float) -> None:
        self._store = store
        self._feeds = feeds
        self._lease = int(lease * 1000)
        self._leaves = Buckets(PER_MINUTE)

    async def all(self, channel: str, visitor: Visitor) -> Living:
        """Who is there. Three commands, which the visitor pays."""
        visitor.pay(3)
        return await self._store.attend(Attendance(channel, self._lease))

    async def leave(self, channel: str, user: str, sender: Sender) -> None:
        """This user goes; who still has a stream of his says so within seconds. Raises TooMany, StoreUnavailable."""
        if wait := self._leaves.take(f"{channel} {user}", 1, asyncio.get_running_loop().time()):
            raise TooMany("Too many leaves of this user.", wait, retryAfterMs=math.ceil(wait * 1000))
        sender.pay(3)
        await self._store.attend(Attendance(channel, self._lease, leavers={user: None}))
        self._feeds.aside(channel, format_notice((), [user]))
