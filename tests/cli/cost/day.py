"""A day of a shape, simulated on virtual time with the product itself, its requests and commands counted."""

from __future__ import annotations

import asyncio
from dataclasses import dataclass, field
from random import Random
from typing import TYPE_CHECKING

import httpx

from gapless.api.factory import create_app
from gapless.cli.cost.shape import Platform, Shape
from gapless.config.settings import Settings
from gapless.platforms.policy import LAMBDA, LAMBDA_ADAPTER, SERVER, VERCEL
from tests.testkit.counting_store import CountingStore
from tests.testkit.event_stream import EventStreamParser

if TYPE_CHECKING:
    from fastapi import FastAPI

POLICIES = {
    Platform.SERVER: SERVER,
    Platform.VERCEL: VERCEL,
    Platform.LAMBDA: LAMBDA,
    Platform.LAMBDA_STREAM: LAMBDA_ADAPTER,
}


@dataclass
class Day:
    """The hours in which the users of `shape` are online; nothing happens in the others."""

    shape: Shape
    store: CountingStore = field(default_factory=CountingStore)
    requests: int = 0
    random: Random = field(default_factory=lambda: Random(1))
    _apps: dict[int, FastAPI] = field(default_factory=dict)

    async def live(self) -> None:
        """All of it. On Lambda each client meets an environment of its own, else all meet one process."""
        readers = [asyncio.create_task(self._read(user)) for user in range(self.shape.users)]
        async with self._client(-1) as http:
            for number in range(self.shape.messages):
                await asyncio.sleep(self.random.expovariate(self.shape.messages / (self.shape.hours * 3600)))
                body = {"data": number, "localId": str(number)}
                (await http.post(f"/channels/{number % self.shape.channels}/messages", json=body)).raise_for_status()
                self.requests += 1
        await asyncio.gather(*readers)

    async def _read(self, user: int) -> None:
        loop, parser = asyncio.get_running_loop(), EventStreamParser()
        async with self._client(user) as http:
            while loop.time() < self.shape.hours * 3600:
                parser = EventStreamParser(parser.last_event_id)
                headers = {"Last-Event-ID": parser.last_event_id} if parser.last_event_id else {}
                reply = await http.get(f"/channels/{user % self.shape.channels}/stream", headers=headers)
                self.requests += 1
                assert list(parser.feed(reply.content))
                assert parser.retry
                await asyncio.sleep(parser.retry / 1000)

    def _client(self, who: int) -> httpx.AsyncClient:
        process = who if self.shape.platform.alone else 0
        if process not in self._apps:
            self._apps[process] = self._app()
        transport = httpx.ASGITransport(self._apps[process], client=("127.0.0.1", 4711))
        return httpx.AsyncClient(transport=transport, base_url="http://localhost", timeout=None)

    def _app(self) -> FastAPI:
        settings = Settings(
            public=True,
            lifetime=self.shape.lifetime,
            recheck=self.shape.rechecked,
            rate=200.0 if self.shape.rate else 0.0,
        )
        return create_app(settings, POLICIES[self.shape.platform], lambda: self.store, self.store.clock.now)
