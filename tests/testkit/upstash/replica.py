"""A read replica that is late: real replication through a pipe that holds back what the primary sends.

Upstash REST docs, "Global Database": "a read request may return a stale value while a write operation
for the same key is being propagated to read replicas". What is read here is exactly what the primary
was, one lag ago: Valkey's own replication stream, script effects and expiries included.
"""

from __future__ import annotations

import asyncio
import random
from contextlib import AsyncExitStack, suppress
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import TYPE_CHECKING, Self
from urllib.parse import urlsplit

from tests.testkit.alarm import auntil
from tests.testkit.upstash.database import Database
from tests.testkit.valkey import start_valkey

if TYPE_CHECKING:
    from collections.abc import Callable

    from tests.testkit.upstash.faults import Armed

_CHUNK = 65_536
_SYNC_DELAY = (b"CONFIG", b"SET", b"repl-diskless-sync-delay")


class Replica:
    """A second Valkey that follows `primary` through a `Pipe`."""

    def __init__(self, primary: Database, lag: Callable[[], list[Armed]], seed: int) -> None:
        self._primary = primary
        self._pipe = Pipe(primary.url, lag, random.Random(seed))
        self._stack = AsyncExitStack()
        self.database: Database

    async def __aenter__(self) -> Self:
        async with AsyncExitStack() as stack:
            folder = stack.enter_context(TemporaryDirectory())
            valkey = await asyncio.to_thread(start_valkey, Path(folder))
            stack.callback(valkey.close)
            port = await stack.enter_async_context(self._pipe)
            # A primary otherwise waits five seconds for further replicas before it sends its data.
            stack.push_async_callback(self._primary.one, *_SYNC_DELAY, await self._sync_delay())
            await self._primary.one(*_SYNC_DELAY, b"0")
            self.database = await stack.enter_async_context(Database(valkey.url))
            await self.database.one(b"REPLICAOF", b"127.0.0.1", str(port).encode())
            await auntil(self._linked, "the replica follows its primary")
            self._stack = stack.pop_all()
        return self

    async def __aexit__(self, *_: object) -> None:
        await self._stack.aclose()

    def lag_changed(self) -> None:
        """Look at the lag again: what is held back may be due now."""
        self._pipe.lag_changed()

    async def caught_up(self) -> bool:
        """Has it seen all that the primary has done up to now?"""
        wanted = await self._primary.state()
        reached = await self.database.state()
        return reached[0] == wanted[0] and reached[1] >= wanted[1]

    async def _sync_delay(self) -> bytes:
        found = await self._primary.one(b"CONFIG", b"GET", _SYNC_DELAY[-1])
        assert isinstance(found, list)
        return bytes(found[1])

    async def _linked(self) -> bool:
        info = await self.database.one(b"INFO", b"replication")
        assert isinstance(info, bytes)
        return b"master_link_status:up" in info


class Pipe:
    """TCP from a replica to its primary. What the primary sends waits for as long as `lag` says now."""

    def __init__(self, primary_url: str, lag: Callable[[], list[Armed]], dice: random.Random) -> None:
        self._primary = urlsplit(primary_url)
        self._lag, self._dice = lag, dice
        self._changed = asyncio.Event()
        self._links: set[asyncio.Task[None]] = set()

    async def __aenter__(self) -> int:
        self._server = await asyncio.start_server(self._accept, "127.0.0.1", 0)
        return int(self._server.sockets[0].getsockname()[1])

    async def __aexit__(self, *_: object) -> None:
        self._server.close()
        for link in list(self._links):
            link.cancel()
        await asyncio.gather(*self._links, return_exceptions=True)

    def lag_changed(self) -> None:
        self._changed.set()
        self._changed = asyncio.Event()

    def _accept(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        link = asyncio.ensure_future(self._link(reader, writer))
        self._links.add(link)
        link.add_done_callback(self._links.discard)

    async def _link(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        try:
            from_primary, to_primary = await self._dial()
        except OSError:
            writer.transport.abort()
            return
        held: asyncio.Queue[tuple[float, float, bytes]] = asyncio.Queue()
        jobs = [self._forward(reader, to_primary), self._hold(from_primary, held), self._release(held, writer)]
        tasks = [asyncio.ensure_future(job) for job in jobs]
        try:
            # Either end gone ends the link; the replica then dials again.
            await asyncio.wait(tasks, return_when=asyncio.FIRST_COMPLETED)
        finally:
            for task in tasks:
                task.cancel()
            await asyncio.gather(*tasks, return_exceptions=True)
            writer.transport.abort()
            to_primary.transport.abort()

    async def _dial(self) -> tuple[asyncio.StreamReader, asyncio.StreamWriter]:
        if self._primary.scheme == "unix":
            return await asyncio.open_unix_connection(self._primary.path)
        return await asyncio.open_connection(self._primary.hostname, self._primary.port or 6379)

    async def _forward(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        while data := await reader.read(_CHUNK):
            writer.write(data)
            await writer.drain()

    async def _hold(self, reader: asyncio.StreamReader, held: asyncio.Queue[tuple[float, float, bytes]]) -> None:
        while data := await reader.read(_CHUNK):
            held.put_nowait((asyncio.get_running_loop().time(), self._dice.random(), data))

    async def _release(self, held: asyncio.Queue[tuple[float, float, bytes]], writer: asyncio.StreamWriter) -> None:
        while True:
            arrived, share, data = await held.get()
            while (left := arrived + self._seconds(share) - asyncio.get_running_loop().time()) > 0:
                with suppress(TimeoutError):
                    async with asyncio.timeout(left):
                        await self._changed.wait()
            writer.write(data)
            await writer.drain()

    def _seconds(self, share: float) -> float:
        armed = self._lag()
        if not armed:
            return 0.0
        low, high = armed[0].options["lo_ms"], armed[0].options["hi_ms"]
        return float(low + share * (high - low)) / 1000
