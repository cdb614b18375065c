"""An echo server behind a fault proxy, and a plain TCP client to ask it."""

from __future__ import annotations

import asyncio
from contextlib import asynccontextmanager, suppress
from typing import TYPE_CHECKING

from tests.testkit.fault_proxy import (
    FaultProxy,
)
from tests.testkit.listener import Listener

if TYPE_CHECKING:
    from collections.abc import AsyncIterator


class Client:
    """A plain TCP client."""

    def __init__(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self.reader, self.writer = reader, writer

    async def ask(self, request: bytes, size: int) -> bytes:
        """Send, and read exactly so many bytes."""
        self.writer.write(request)
        return await self.reader.readexactly(size)


@asynccontextmanager
async def connected(proxy: FaultProxy) -> AsyncIterator[Client]:
    reader, writer = await asyncio.open_connection(proxy.host, proxy.port)
    try:
        yield Client(reader, writer)
    finally:
        writer.close()
        with suppress(OSError):
            await writer.wait_closed()


class Echo:
    """Sends back what it gets, chunk by chunk, and keeps count."""

    def __init__(self) -> None:
        self.received = b""
        self.opened = 0
        self.ends: list[str] = []

    async def answer(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self.opened += 1
        try:
            while chunk := await reader.read(65_536):
                self.received += chunk
                writer.write(chunk)
                await writer.drain()
        except ConnectionResetError:
            self.ends.append("rst")
        else:
            self.ends.append("fin")


@asynccontextmanager
async def echoing(seed: int = 0) -> AsyncIterator[tuple[FaultProxy, Echo]]:
    echo = Echo()
    async with Listener(echo.answer) as listener, FaultProxy(("127.0.0.1", listener.port), seed=seed) as proxy:
        yield proxy, echo
