"""Where faults are played: a store with a replica, over TCP or as Upstash, and the services on it."""

from __future__ import annotations

from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import dataclass, field
from random import Random
from typing import TYPE_CHECKING, Literal

import anyio
from anyio import to_thread

from tests.testkit.chaos.pair import Pair
from tests.testkit.history import History
from tests.testkit.service import Service
from tests.testkit.upstash import EmulatorProcess

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Callable, Sequence
    from pathlib import Path

Kind = Literal["tcp", "upstash"]
SETTINGS = {
    "GAPLESS_RATE": "0",
    "GAPLESS_STREAM_RATE": "0",
    "GAPLESS_READ_RATE": "0",
    "GAPLESS_RETRY_MS": "50",
    "GAPLESS_RECHECK": "2",
    "GAPLESS_CAP": "2000",
}
"""No limits of rate, quick reconnects, and a recheck that a test can wait for."""


@dataclass
class Stage:
    """`up` is the emulator before the store; None over TCP."""

    pair: Pair
    up: EmulatorProcess | None
    services: list[Service]

    @property
    def urls(self) -> list[str]:
        return [service.url for service in self.services]


@dataclass
class Scene:
    """A fault's surroundings: the stage, the channels that are in use, what is written down, and the dice."""

    stage: Stage
    channels: Sequence[str]
    history: History = field(default_factory=History)
    dice: Random = field(default_factory=Random)

    @property
    def pair(self) -> Pair:
        return self.stage.pair


@asynccontextmanager
async def open_stage(
    folder: Path,
    kind: Kind,
    make: Callable[[dict[str, str]], Sequence[Service]],
    *,
    seed: int = 0,
    **settings: str,
) -> AsyncIterator[Stage]:
    """`make` says which services there are, given the settings that name their store."""
    async with AsyncExitStack() as stack:
        pair = await stack.enter_async_context(Pair(folder, seed=seed))
        env, up = SETTINGS | settings, None
        if kind == "tcp":
            env["REDIS_URL"] = pair.url
        else:
            up = await stack.enter_async_context(_emulator(pair.url, seed))
            env |= {"UPSTASH_REDIS_REST_URL": up.url, "UPSTASH_REDIS_REST_TOKEN": up.token}
        services = list(make(env))
        async with anyio.create_task_group() as starting:
            for service in services:
                stack.callback(service.close)
                starting.start_soon(service.astart)
        yield Stage(pair, up, services)


@asynccontextmanager
async def _emulator(url: str, seed: int) -> AsyncIterator[EmulatorProcess]:
    """In a thread, for what it connects to is served by this loop."""
    up = EmulatorProcess(url, "--seed", str(seed))
    await to_thread.run_sync(up.__enter__)
    try:
        yield up
    finally:
        await to_thread.run_sync(up.__exit__, None, None, None)


def two(env: dict[str, str]) -> list[Service]:
    return [Service(env), Service(env)]
