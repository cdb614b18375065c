"""The embedded Valkey as a store, for servers that do not start it: `uvicorn gapless.asgi:app` on a laptop."""

from __future__ import annotations

import asyncio
import atexit
from collections.abc import Callable
from pathlib import Path

from gapless.runtime.counters import StoreCounters
from gapless.stores.embedded.keeper import Keeper
from gapless.stores.embedded.reaper import Reaper
from gapless.stores.embedded.valkey import EmbeddedValkey
from gapless.stores.redis.store import RedisStore
from gapless.stores.scripts import Layout


class LocalStore(RedisStore):
    """Starts, joins or adopts the Valkey of `folder`, and lets go of it at the end."""

    def __init__(
        self, folder: str, layout: Callable[[int], Layout], *, page: int, counters: StoreCounters | None = None
    ) -> None:
        self._valkey = EmbeddedValkey.start(Path(folder))
        self._keeper = Keeper(self._valkey)
        self._keeper.start()
        self._reaper = Reaper(self._valkey.folder)
        atexit.register(self._stop)  # an app that is mounted in another is never told that it ends
        super().__init__(self._valkey.url, layout, page=page, counters=counters)
        self.name = f"embedded Valkey in {self._valkey.folder}"

    async def close(self) -> None:
        try:
            await super().close()
        finally:
            atexit.unregister(self._stop)
            await asyncio.to_thread(self._stop)

    def _stop(self) -> None:
        self._keeper.end()
        self._valkey.stop()
        self._reaper.dismiss()
