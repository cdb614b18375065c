"""A reader that changes between streams, turns, long polls and being away, with the ids that each gave it."""

from __future__ import annotations

import asyncio
from collections import Counter
from random import Random
from typing import TYPE_CHECKING, Self

from tests.testkit.poller import LongPoller
from tests.testkit.reader import EventSourceReader

if TYPE_CHECKING:
    from collections.abc import Sequence

    import httpx

    from tests.testkit.reader_log import ReaderLog


class RoamingClient:
    """Reads one channel, at services that stream, or at those that are `buffered`, into one log."""

    def __init__(
        self, log: ReaderLog, streaming: Sequence[str], buffered: Sequence[str], client: httpx.AsyncClient, seed: int
    ) -> None:
        self.log = log
        self.at: dict[str, str] = {}
        self.stopped: str | None = None
        """What it was answered that nobody comes back after."""
        self.changes: Counter[str] = Counter()
        """How often it began each way of reading."""
        [self._channel] = log.channels
        self._streaming, self._buffered, self._client = streaming, buffered, client
        self._dice = Random(seed)
        self._cursor = ""
        self._task: asyncio.Task[None] | None = None

    @property
    def cursor(self) -> str:
        """Where it went on from last; empty before its first answer."""
        return self._cursor

    async def __aenter__(self) -> Self:
        self._task = asyncio.create_task(self._run(), name=f"wanderer {self.log.name}")
        return self

    async def __aexit__(self, *_: object) -> None:
        """Leave. What it stumbled over is raised here."""
        assert self._task is not None
        self._task.cancel()
        await asyncio.wait({self._task})
        if not self._task.cancelled():
            self._task.result()

    async def _run(self) -> None:
        while self.stopped is None:
            way = self._dice.choice(["stream", "stream", "turns", "poll", "away"])
            self.changes[way] += 1
            if way == "away":
                await asyncio.sleep(self._dice.uniform(0.5, 8))
            elif way == "poll":
                await self._poll(self._dice.randint(1, 5))
            else:
                await self._stream(self._streaming if way == "stream" else self._buffered)

    async def _poll(self, times: int) -> None:
        poller = LongPoller(
            self.log,
            [*self._streaming, *self._buffered],
            client=self._client,
            seed=self._dice.getrandbits(32),
            cursor=self._cursor,
        )
        if self._cursor:
            self.log.reconnected(self._cursor)
        for _ in range(times):
            await poller.poll()
            self._cursor = poller.cursor
            self.at |= poller.at
            self.stopped = self.stopped or poller.stopped

    async def _stream(self, urls: Sequence[str]) -> None:
        streams = [f"{url}/channels/{self._channel}/stream" for url in urls]
        if self.log.events:
            self.log.reconnected(self._cursor)
        reader = EventSourceReader(
            self.log, streams, client=self._client, seed=self._dice.getrandbits(32), retry_scale=0.2
        )
        reader.last_event_id = self._cursor
        try:
            async with reader:
                await asyncio.sleep(self._dice.uniform(0.5, 6))
        finally:
            self._cursor = reader.last_event_id
            self.at |= reader.at
            self.stopped = reader.stopped
