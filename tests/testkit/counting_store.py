"""The model store with the commands that the real ones would have sent: counts of a day on virtual time.

A call's commands are those that `tests/real/test_counts.py` and `tests/real/upstash/test_counts.py` count on real
servers.
"""

from __future__ import annotations

import asyncio
from collections import Counter
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from tests.testkit.model_store import ModelStore

if TYPE_CHECKING:
    from gapless.log.entries import Entry
    from gapless.log.publication import Outcome, Publication
    from gapless.log.store import Listener, Slice


@dataclass
class CountingStore(ModelStore):
    """`commands` by name; what scripts call is among them."""

    commands: Counter[str] = field(default_factory=Counter)

    async def publish(self, publication: Publication) -> Outcome:
        """EVALSHA around LINDEX, RPUSH, PUBLISH; SET for a key; GET and SET for a rate."""
        rated = 0 if publication.rate is None else 2
        self.commands["publish"] += 4 + len(publication.keys()) + rated
        return await super().publish(publication)

    async def tail(self, channel: str, count: int, most: int | None = None) -> list[Entry]:
        """LRANGE; with `most` a script around it."""
        self.commands["read"] += 1 if most is None else 2
        return await super().tail(channel, count, most)

    async def slice(self, *args: Any, **options: Any) -> Slice:
        """EVALSHA around LINDEX, LINDEX, LRANGE."""
        self.commands["read"] += 4
        return await super().slice(*args, **options)

    async def subscribe(self, channel: str, listener: Listener) -> Any:
        """SUBSCRIBE, and UNSUBSCRIBE when it is closed. As the real ones do, it says when it hears."""
        self.commands["subscribe"] += 2
        ear = await super().subscribe(channel, listener)
        asyncio.get_running_loop().call_soon(listener.heard)
        return ear
