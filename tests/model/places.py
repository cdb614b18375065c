"""Every kind of store with two apps on it (and one that hands bodies over whole), and hands behind its back."""

from __future__ import annotations

import asyncio
import sys
import time
from collections.abc import AsyncIterator, Callable, Iterator
from contextlib import AsyncExitStack, asynccontextmanager, contextmanager, nullcontext
from dataclasses import dataclass, field
from itertools import count
from pathlib import Path
from typing import TYPE_CHECKING, Any, Protocol

import pytest

from gapless.api.factory import create_app
from gapless.config.settings import Settings
from gapless.log.entries import Entry, format_entry, format_notice
from gapless.log.store import NOTICE_LIMIT, Store
from gapless.platforms.policy import LAMBDA, SERVER
from tests.model.truth import CAP
from tests.stores.contract.backend import Keep, kinds
from tests.testkit.clock import VirtualClock, VirtualLoop, advance, no_worker_threads
from tests.testkit.model_store import ModelStore

if TYPE_CHECKING:
    from collections.abc import Sequence

    from fastapi import FastAPI

    from tests.stores.contract.backend import Backend

KEEP = Keep(cap=CAP, page=8)
KINDS = ["model", *sorted(kinds().keys() - {"tls"})]
"""`unix` is the embedded Valkey's way; TLS has nothing of its own to say here."""
# What real time is too slow for. Everything else is as it is in production: so is CONFIRM where it says for how long a
# subscription may be lost, and reads may fail. Nobody waits for that here, and to subscribe again takes its own time.
FAST = {"CONFIRM": 0.15, "REREAD": 0.05, "QUIET_AFTER": 0.1, "QUIET_EVERY": 0.5, "RETRY": 0.03, "SETTLED": 1.0}
PATIENT = {"gapless.channels.follower": "CONFIRM", "gapless.channels.patience": "CONFIRM"}
SETTINGS: dict[str, Any] = {"cap": CAP, "retention": KEEP.retention, "rate": 0, "stream_rate": 0, "read_rate": 0}
SETTINGS |= {"lifetime": 80_000, "namespaces": {"": {"signals": True, "receipts": True, "presence": True}}}

_REWRITE = """
for _ = 1, tonumber(ARGV[1]) do redis.call('RPOP', KEYS[1]) end
for i = 2, #ARGV do redis.call('RPUSH', KEYS[1], ARGV[i]) end
"""


class Hands(Protocol):
    """What nobody but a failover or a stranger can do."""

    def rewrite(self, channel: str, take: int, put: Sequence[Entry]) -> None:
        """Take the last so many entries away and append these, in one step."""

    def tell(self, channel: str, entries: Sequence[Entry]) -> None:
        """The notice of these, true or not."""

    def silence(self, channel: str) -> None:
        """Every subscription to it is lost."""


@dataclass
class Place:
    """`apps`: two services, and one on a platform that hands bodies over whole, each with a store of its own."""

    runner: asyncio.Runner
    apps: list[FastAPI]
    open_store: Callable[[], Store]
    hands: Hands
    now: Callable[[], float]
    virtual: bool
    channels: Iterator[int] = field(default_factory=count)

    async def pause(self, seconds: float) -> None:
        """Let time pass: on virtual time as much as real seconds stand for."""
        await (advance(seconds * 40) if self.virtual else asyncio.sleep(seconds))


@dataclass
class RealHands:
    """At the server that holds the channel."""

    backend: Backend

    def rewrite(self, channel: str, take: int, put: Sequence[Entry]) -> None:
        log = KEEP.layout(0).log(channel)
        self.backend.keeper(channel).cli("EVAL", _REWRITE, 1, log, take, *(format_entry(entry) for entry in put))

    def tell(self, channel: str, entries: Sequence[Entry]) -> None:
        self.backend.keeper(channel).cli("PUBLISH", KEEP.layout(0).topic(channel), format_notice(entries, NOTICE_LIMIT))

    def silence(self, channel: str) -> None:
        self.backend.silence()


@dataclass
class ModelHands:
    """Inside the model."""

    store: ModelStore

    def rewrite(self, channel: str, take: int, put: Sequence[Entry]) -> None:
        self.store.forget_last(channel, take)
        self.store.logs[channel] += put

    def tell(self, channel: str, entries: Sequence[Entry]) -> None:
        self.store.tell(channel, entries)

    def silence(self, channel: str) -> None:
        """It is heard again at once."""
        self.store.each_ear(channel, lambda listener: listener.lost())
        self.store.each_ear(channel, lambda listener: listener.heard())


@contextmanager
def open_place(kind: str, folder: Path) -> Iterator[Place]:
    """Start all there is of it: on a loop of its own, of virtual time for the model."""
    virtual = kind == "model"
    with (
        asyncio.Runner(loop_factory=VirtualLoop if virtual else None) as runner,
        pytest.MonkeyPatch.context() as patch,
        no_worker_threads() if virtual else nullcontext(),
    ):
        if not virtual:
            hurry(patch)
        opened = _model(runner) if virtual else _real(kind, folder, runner)
        place = runner.run(opened.__aenter__())
        try:
            yield place
        finally:
            runner.run(opened.__aexit__(None, None, None))


def hurry(patch: pytest.MonkeyPatch) -> None:
    """Shorten what is waited for, wherever a module of the app has it."""
    missing = set(FAST)
    for place, module in [*sys.modules.items()]:
        if not place.startswith("gapless."):
            continue
        for name in FAST.keys() & vars(module).keys() - {PATIENT.get(place)}:
            if isinstance(getattr(module, name), float):
                patch.setattr(module, name, FAST[name])
                missing.discard(name)
    assert not missing, f"{missing} have other names now"


@asynccontextmanager
async def _real(kind: str, folder: Path, runner: asyncio.Runner) -> AsyncIterator[Place]:
    with kinds()[kind].run(folder) as backend:

        def open_store() -> Store:
            store = backend.open(KEEP)
            store.lag = min(store.lag, FAST["CONFIRM"])
            return store

        async with _apps(open_store, time.time, recheck=0.3, linger=0.2, presence=2) as apps:
            yield Place(runner, apps, open_store, RealHands(backend), time.time, virtual=False)


@asynccontextmanager
async def _model(runner: asyncio.Runner) -> AsyncIterator[Place]:
    clock = VirtualClock()
    store = ModelStore(clock, cap=CAP, page=KEEP.page, latency=0.005)
    async with _apps(lambda: store, clock.now, recheck=15, linger=8, presence=20) as apps:
        yield Place(runner, apps, lambda: store, ModelHands(store), clock.now, virtual=True)


@asynccontextmanager
async def _apps(
    open_store: Callable[[], Store], clock: Callable[[], float], **wanted: float
) -> AsyncIterator[list[FastAPI]]:
    settings = Settings(**SETTINGS, **wanted)
    apps = [create_app(settings, policy, open_store, clock) for policy in (SERVER, SERVER, LAMBDA)]
    async with AsyncExitStack() as stack:
        for app in apps:
            await stack.enter_async_context(app.router.lifespan_context(app))
        yield apps
