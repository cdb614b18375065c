"""What goes on around the messages of a world: signals, receipts, and what a store that loses writes does to them."""

from __future__ import annotations

import asyncio
import random
from typing import TYPE_CHECKING

from gapless.log.receipts import Marks, Receipt
from gapless.log.signals import Signal

if TYPE_CHECKING:
    from tests.testkit.model_store import ModelStore

USERS = ("ann", "bob", "eve", "zoe")


class Gossip:
    """Has dice of its own, so that the histories of the log are what they would be without it."""

    def __init__(self, seed: int, store: ModelStore) -> None:
        self.lossy = False
        """Marks were lost, so a reader may be told lower ones."""
        self._dice = random.Random(f"gossip {seed}")
        self._store = store
        self._past: list[dict[str, Marks]] = [{}]
        self._nonces = 0

    async def go_on(self) -> None:
        """Until it is cancelled."""
        while True:
            await asyncio.sleep(self._dice.choice([0, 0.01, 0.2, 1, 3]))
            await self._dice.choice([self._read, self._read, self._signal])()

    async def _read(self) -> None:
        """Somebody has got as far as one of the last messages; perhaps he had got further before."""
        if log := self._store.logs["c"]:
            place, user = self._dice.choice(log[-8:]).position, self._dice.choice(USERS)
            marks = Marks(place, None) if self._dice.random() < 0.5 else Marks(None, place)
            await self._store.raise_marks(Receipt("c", user, marks, 0))
            self._past.append(dict(self._store.receipts["c"]))

    async def _signal(self) -> None:
        """Sometimes the store doubles it, and sometimes it is told to nobody."""
        self._nonces += 1
        line = b'{"channel":"c","event":"typing","nonce":"%012d"}' % self._nonces
        for _ in range(self._dice.choice([1, 1, 2]) if self._store.notify else 0):
            self._store.tell_aside("c", Signal("c", f"{self._nonces:012}", line, 0).notice)

    # --- what happens to the store

    def lose_some(self) -> None:
        """A failover: what was written last is gone."""
        self.lossy = True
        back = min(len(self._past), self._dice.randint(1, 4))
        del self._past[len(self._past) - back + 1 :]
        self._store.receipts["c"] = dict(self._past[-1])
        if self._dice.random() < 0.5 and self._store.leases["c"]:
            self._store.leases["c"].pop(self._dice.choice(sorted(self._store.leases["c"])))

    def lose_all(self) -> None:
        """A wipe."""
        self.lossy = True
        self._past = [{}]
        self._store.receipts["c"].clear()
        self._store.leases["c"].clear()
