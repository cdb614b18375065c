"""A database at Upstash, and services on it."""

from __future__ import annotations

from contextlib import contextmanager
from typing import TYPE_CHECKING, NamedTuple

from tests.testkit.upstash import EmulatorProcess
from tests.testkit.valkey import start_valkey

if TYPE_CHECKING:
    from collections import Counter
    from collections.abc import Iterator
    from pathlib import Path

    from tests.testkit.valkey import Valkey

UNLIMITED = {"GAPLESS_RATE": "0", "GAPLESS_STREAM_RATE": "0"}
ACKNOWLEDGING = frozenset({"SUBSCRIBE", "UNSUBSCRIBE", "PSUBSCRIBE", "PUNSUBSCRIBE"})


class Place(NamedTuple):
    """`store` is what lies behind, for looks at the log; `up` is what the services see."""

    store: Valkey
    up: EmulatorProcess

    def env(self, **settings: str) -> dict[str, str]:
        """What a service is told of it, without limits of rate."""
        return {
            **UNLIMITED,
            "UPSTASH_REDIS_REST_URL": self.up.url,
            "UPSTASH_REDIS_REST_TOKEN": self.up.token,
            **settings,
        }

    def bill(self) -> Counter[str]:
        """Commands since the last `up.reset_counts()`, but for subscriptions that came and went."""
        counts = self.up.counts()
        for name in ACKNOWLEDGING:
            del counts[name]
        return counts


@contextmanager
def upstash(folder: Path, *arguments: str) -> Iterator[Place]:
    """One of a test's own. `arguments` are the emulator's; its faults must have fired by the end."""
    with start_valkey(folder / "valkey") as store, EmulatorProcess(store.url, *arguments) as up:
        yield Place(store, up)
