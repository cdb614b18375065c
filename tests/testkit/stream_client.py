"""A stream that runs on virtual time for a client that takes what it likes, by either way of writing."""

from __future__ import annotations

import asyncio
import json
from collections.abc import AsyncIterator, MutableMapping, Sequence
from contextlib import asynccontextmanager
from typing import Any

from gapless.channels.feed import Feed
from gapless.channels.feed_settings import FeedSettings
from gapless.channels.feeds import Feeds
from gapless.delivery.end import End
from gapless.delivery.session import Start, StreamLimits
from gapless.delivery.streaming import Stream
from tests.testkit.clock import settle
from tests.testkit.model_store import ModelStore

TERMS = StreamLimits(lifetime=240, heartbeat=15, retry_ms=700, random=0.5)


class Client:
    """Takes chunks while `open`; keeps them, with the virtual second of each.

    `direct`: its server writes at once. `gone`: it takes nothing, and its server says so. `held`: bytes that wait.
    """

    direct = False

    def __init__(self) -> None:
        self.open = asyncio.Event()
        self.open.set()
        self.chunks: list[tuple[float, bytes]] = []
        self.waiting = self.held = self.written = 0
        self.gone = False

    def write(self, part: bytes) -> bool:
        """See DirectWrite."""
        if self.gone or not self.open.is_set():
            return False
        self.written += 1
        self.chunks.append((asyncio.get_running_loop().time(), part))
        return True

    async def send(self, message: MutableMapping[str, Any]) -> None:
        if self.gone:
            raise OSError("gone")
        if not self.open.is_set():
            self.waiting += 1
            self.held += len(message["body"])
            await self.open.wait()
            self.waiting -= 1
            self.held -= len(message["body"])
        self.chunks.append((asyncio.get_running_loop().time(), message["body"]))

    @property
    def text(self) -> str:
        return b"".join(chunk for _, chunk in self.chunks).decode()

    @property
    def blocks(self) -> list[dict[str, str]]:
        """Blocks as field dictionaries, comments dropped."""
        found = []
        for block in self.text.split("\n\n"):
            lines = [line for line in block.split("\n") if line and not line.startswith(":")]
            if lines:
                found.append(dict(line.split(": ", 1) for line in lines))
        return found

    def data(self, event: str) -> list[Any]:
        return [json.loads(b["data"]) for b in self.blocks if b.get("event", "message") == event]

    @property
    def seqs(self) -> list[int]:
        return [int(message["id"].split("-")[1]) for message in self.data("message")]


class Session:
    """A stream that runs in a task."""

    def __init__(self, feeds: Sequence[Feed], start: Start, limits: StreamLimits, client: Client) -> None:
        self.feeds = feeds
        self.stream = stream = Stream(feeds, start, limits)
        self.client = client
        direct_write = client.write if client.direct else None
        self.task = asyncio.create_task(stream.run(client.send, direct_write))  # type: ignore[arg-type]


@asynccontextmanager
async def reading(
    store: ModelStore, *channels: str, start: Start | None = None, limits: StreamLimits = TERMS, shut: bool = False
) -> AsyncIterator[Session]:
    feeds = Feeds(store, FeedSettings(15, 10, 86_400, 64), store.clock.now)
    client = Client()
    if shut:
        client.open.clear()
    async with feeds.open(channels or ("c",)) as opened:
        session = Session(opened, start or Start(), limits, client)
        await settle()
        yield session
        session.stream.stop(End.SHUTDOWN)
        client.open.set()
        await session.task
    await feeds.close()
