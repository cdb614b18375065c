"""Bare connections to streams by the thousand: bytes in, counted; nothing is parsed."""

from __future__ import annotations

import asyncio
from contextlib import asynccontextmanager
from typing import TYPE_CHECKING

from tests.testkit.alarm import Alarm

if TYPE_CHECKING:
    from collections.abc import AsyncIterator

    from tests.testkit.service import Service


class _Reader(asyncio.Protocol):
    def __init__(self, crowd: Crowd, request: bytes) -> None:
        self._crowd = crowd
        self._request = request
        self.heard = bytearray()

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        assert isinstance(transport, asyncio.Transport)
        transport.write(self._request)

    def data_received(self, data: bytes) -> None:
        self.heard += data
        self._crowd.changed.set()


class Crowd:
    """Made by `crowd`."""

    def __init__(self) -> None:
        self.changed = asyncio.Event()
        self._readers: list[_Reader] = []
        self._transports: list[asyncio.Transport] = []

    async def join(self, service: Service, channel: str, count: int, last_event_id: str = "") -> None:
        """So many connect at once; returns when each was greeted."""
        request = f"GET /channels/{channel}/stream HTTP/1.1\r\nHost: 127.0.0.1\r\n"
        request += f"Last-Event-ID: {last_event_id}\r\n\r\n" if last_event_id else "\r\n"
        loop = asyncio.get_running_loop()
        for _ in range(count):
            made = await loop.create_connection(lambda: _Reader(self, request.encode()), "127.0.0.1", service.port)
            self._transports.append(made[0])
            self._readers.append(made[1])
        await self.until_all_heard(b"event: hello", alarm=60)

    async def until_all_heard(self, what: bytes, times: int = 1, *, alarm: float = 30.0) -> None:
        """Wait until each was sent this, so many times."""
        try:
            async with asyncio.timeout(alarm):
                for reader in self._readers:
                    while reader.heard.count(what) < times:
                        self.changed.clear()
                        await self.changed.wait()
        except TimeoutError:
            silent = sum(reader.heard.count(what) < times for reader in self._readers)
            raise Alarm(
                f"{silent} of {len(self._readers)} did not hear {what!r} {times} times in {alarm:g} s"
            ) from None

    async def leave(self) -> None:
        """All cut their connections."""
        for transport in self._transports:
            transport.abort()
        self._readers, self._transports = [], []


@asynccontextmanager
async def crowd() -> AsyncIterator[Crowd]:
    """Nobody yet; whoever has joined is gone at the end."""
    gathered = Crowd()
    try:
        yield gathered
    finally:
        await gathered.leave()
