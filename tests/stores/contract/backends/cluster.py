"""`redis://` to a node of a cluster of three: which it is, is found out."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Iterator, Sequence
from contextlib import AsyncExitStack, asynccontextmanager, contextmanager
from pathlib import Path

import pytest

from gapless.stores.redis import lines as redis_lines
from gapless.stores.redis import pubsub as redis_pubsub
from gapless.stores.redis.cluster import Address
from gapless.stores.redis.cluster import Cluster as Line
from gapless.stores.redis.lines import Standalone
from gapless.stores.redis.store import RedisStore
from gapless.stores.redis.url import Place
from tests.stores.contract.backend import Keep, Losses
from tests.testkit.cluster import Cluster, start_cluster
from tests.testkit.listener import Listener, close
from tests.testkit.valkey import Valkey


class Clustered:
    """The nodes, reached as they announce themselves, or each by the port that `ways` gives instead of its own."""

    def __init__(self, cluster: Cluster, ways: dict[int, int] | None = None) -> None:
        self._cluster = cluster
        self._ways = ways

    @property
    def valkeys(self) -> Sequence[Valkey]:
        return self._cluster.nodes

    def keeper(self, channel: str) -> Valkey:
        return self._cluster.owner(f"{{{channel}}}")

    def open(self, keep: Keep) -> RedisStore:
        url = self._cluster.nodes[0].tcp_url
        if self._ways is None:
            return RedisStore(url, keep.layout, page=keep.page)
        return _Led(url, keep.layout, page=keep.page, ways=self._ways)

    @asynccontextmanager
    async def lossy(self, losses: Losses) -> AsyncIterator[Clustered]:
        async with AsyncExitStack() as stack:
            ways = {}
            for node in self._cluster.nodes:
                listener = await stack.enter_async_context(Listener(_Relay(node, losses).answer))
                ways[node.port] = listener.port
            yield Clustered(self._cluster, ways)

    def silence(self) -> int:
        return sum(int(node.cli("CLIENT", "KILL", "TYPE", "pubsub")) for node in self._cluster.nodes)

    def hurry(self, patch: pytest.MonkeyPatch, seconds: float) -> None:
        patch.setattr(redis_lines, "REPLY_TIMEOUT", seconds)
        patch.setattr(redis_lines, "CONNECT_TIMEOUT", seconds)
        patch.setattr(redis_pubsub, "ACK_TIMEOUT", seconds)
        patch.setattr(redis_pubsub, "PING_EVERY", seconds)


class _Led(RedisStore):
    """A store that goes to other ports than the nodes announce."""

    def __init__(self, *args: object, ways: dict[int, int], **options: int) -> None:
        super().__init__(*args, **options)  # type: ignore[arg-type]
        self._ways = ways

    async def _ask(self) -> Line:
        return _LedLine(self._place, self._ways)


class _LedLine(Line):
    def __init__(self, place: Place, ways: dict[int, int]) -> None:
        super().__init__(place)
        self._ways = ways

    def _at(self, address: Address) -> Standalone:
        return super()._at(self._led(address))

    def _nodes(self) -> list[Address]:
        """Under the ports by which they are reached: whoever is in no new map is let go of."""
        return [self._led(address) for address in super()._nodes()]

    def _led(self, address: Address) -> Address:
        return Address(address.host, self._ways.get(address.port, address.port))


class _Relay:
    """To one node and back; breaks off instead of the reply to a script that is to be lost, once it was sent."""

    def __init__(self, node: Valkey, losses: Losses) -> None:
        self._node = node
        self._losses = losses

    async def answer(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        replies, server = await asyncio.open_connection("127.0.0.1", self._node.port)
        struck = asyncio.Event()
        ways = [self._there(reader, server, struck), self._back(replies, writer, struck)]
        tasks = {asyncio.ensure_future(way) for way in ways}
        try:
            await asyncio.wait(tasks, return_when=asyncio.FIRST_COMPLETED)
        finally:
            server.close()  # before the first await, where a cancellation may strike
            for task in tasks:
                task.cancel()
            await asyncio.gather(*tasks, return_exceptions=True)
            await close(server)

    async def _there(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter, struck: asyncio.Event) -> None:
        while data := await reader.read(1 << 20):
            if b"EVAL" in data and self._losses.strike():
                struck.set()
            writer.write(data)
            await writer.drain()

    async def _back(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter, struck: asyncio.Event) -> None:
        while data := await reader.read(1 << 20):
            if struck.is_set():
                self._losses.then()
                return
            writer.write(data)
            await writer.drain()


@contextmanager
def run(folder: Path) -> Iterator[Clustered]:
    # A node that a loaded machine holds up for a while is not to be taken for dead.
    with start_cluster(folder, node_timeout_ms=30_000) as cluster:
        yield Clustered(cluster)
