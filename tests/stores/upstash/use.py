"""A store on an emulator of a test's own, both in the test's process."""

from __future__ import annotations

from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from typing import Any

from gapless.stores.scripts import Layout
from gapless.stores.upstash.store import UpstashStore
from tests.testkit.alarm import auntil
from tests.testkit.upstash import UpstashEmulator
from tests.testkit.valkey import Valkey

Open = Callable[[], UpstashStore]


def layout(database: int) -> Layout:
    """Small, so that trimming is soon reached."""
    return Layout("gapless", database, 100, 3600)


@asynccontextmanager
async def emulated(valkey: Valkey, **options: Any) -> AsyncIterator[tuple[UpstashEmulator, Open]]:
    """The emulator, and what opens a store on it, as one more process of the service would. All are closed."""
    opened: list[UpstashStore] = []
    async with UpstashEmulator(valkey.url, **options) as emulator:

        def open_one(token: str | None = None) -> UpstashStore:
            opened.append(UpstashStore(emulator.url, token or emulator.token, layout, page=50))
            return opened[-1]

        try:
            yield emulator, open_one
        finally:
            for store in opened:
                await store.close()


async def until(check: Callable[[], object], what: str) -> None:
    """Wait for it, for no longer than a test may take anyway."""
    await auntil(check, what, alarm=15)
