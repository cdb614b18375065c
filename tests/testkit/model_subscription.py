"""A subscription to a channel of the model store."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from gapless.log.store import Listener
    from tests.testkit.model_store import ModelStore


@dataclass
class ModelSubscription:
    """What `ModelStore.subscribe` returns; it hears until it is closed."""

    store: ModelStore
    channel: str
    listener: Listener

    def suspect(self) -> None:
        self.store.calls["suspect"] += 1

    async def close(self) -> None:
        if self in self.store.subscriptions[self.channel]:
            self.store.subscriptions[self.channel].remove(self)
