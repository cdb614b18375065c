"""A thousand messages for one client that is cut off all the time, while they are published."""

from __future__ import annotations

from contextlib import asynccontextmanager
from typing import TYPE_CHECKING

from tests.real.cutter import BACKLOG, Cutter
from tests.real.press import Publisher
from tests.support.alarm import auntil
from tests.support.history import History
from tests.support.service import Service
from tests.support.valkey import start_valkey

if TYPE_CHECKING:
    from collections.abc import AsyncIterator
    from pathlib import Path

    import httpx

    from tests.support.seen import Sight

MESSAGES = 1000
CHANNEL = "general"


class Ordeal:
    """`url` is the stream to read. Listen first, then `publish`; then wait for the client, and `judge`."""

    def __init__(self, service: Service, client: httpx.AsyncClient) -> None:
        self.service = service
        self.publisher = Publisher(History(), client, service.url, CHANNEL)
        assert service.port is not None
        self.cutter = Cutter(service.port, lambda: len(self.publisher.ids), MESSAGES)

    @property
    def url(self) -> str:
        return f"{self.cutter.url}/channels/{CHANNEL}/stream"

    async def publish(self) -> None:
        """All messages, never much further than the client has read: so it is cut off throughout."""
        for number in range(1, MESSAGES + 1):
            if number - self.cutter.passed > 2 * BACKLOG:
                await auntil(lambda n=number: n - self.cutter.passed <= 2 * BACKLOG, "the client to read on", alarm=60)
            await self.publisher.publish(number)

    def judge(self, sight: Sight) -> None:
        """Each message exactly once, in order, by a client that was cut off enough."""
        assert [seen.id for seen in sight.messages] == self.publisher.ids
        assert len(set(self.publisher.ids)) == MESSAGES
        assert not sight.of("gap")
        assert (sight.reconnects >= 20, self.cutter.cuts >= 20, self.cutter.mid_backlog >= 5) == (True, True, True), (
            f"{sight.reconnects} reconnects, {self.cutter.cuts} cuts, {self.cutter.mid_backlog} in mid-backlog"
        )


@asynccontextmanager
async def ordeal(folder: Path, client: httpx.AsyncClient) -> AsyncIterator[Ordeal]:
    """On a store and a service of its own. `client` is what publishes."""
    with start_valkey(folder) as store:
        env = {"REDIS_URL": store.url, "GAPLESS_RATE": "0", "GAPLESS_RETRY_MS": "40", "GAPLESS_ORIGINS": "*"}
        async with Service(env) as service:
            made = Ordeal(service, client)
            async with made.cutter:
                yield made
