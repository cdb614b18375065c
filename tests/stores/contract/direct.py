"""A real Valkey behind `RedisStore`, whatever the way to it."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass

import pytest

from gapless.stores.redis import lines as redis_lines
from gapless.stores.redis import pubsub as redis_pubsub
from gapless.stores.redis.store import RedisStore
from tests.stores.contract.backend import Keep, Losses
from tests.testkit.listener import Listener, close
from tests.testkit.valkey import Valkey


@dataclass
class Direct:
    """`url`: the way that this backend is about."""

    valkey: Valkey
    url: str

    @property
    def valkeys(self) -> Sequence[Valkey]:
        return [self.valkey]

    def keeper(self, channel: str) -> Valkey:
        return self.valkey

    def open(self, keep: Keep) -> RedisStore:
        return RedisStore(self.url, keep.layout, page=keep.page)

    @asynccontextmanager
    async def lossy(self, losses: Losses) -> AsyncIterator[Direct]:
        relay = _Relay(self.valkey, losses)
        async with Listener(relay.answer) as listener:
            yield Direct(self.valkey, f"redis://127.0.0.1:{listener.port}")

    def silence(self) -> int:
        return int(self.valkey.cli("CLIENT", "KILL", "TYPE", "pubsub"))

    def hurry(self, patch: pytest.MonkeyPatch, seconds: float) -> None:
        patch.setattr(redis_lines, "REPLY_TIMEOUT", seconds)
        patch.setattr(redis_lines, "CONNECT_TIMEOUT", seconds)
        patch.setattr(redis_pubsub, "ACK_TIMEOUT", seconds)
        patch.setattr(redis_pubsub, "PING_EVERY", seconds)


class _Relay:
    """To the server and back; breaks off where the reply to a script is to be lost, once the server has sent it."""

    def __init__(self, valkey: Valkey, losses: Losses) -> None:
        self._valkey = valkey
        self._losses = losses

    async def answer(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        inner, to_server = await asyncio.open_unix_connection(self._valkey.socket)
        struck = asyncio.Event()
        ways = [self._there(reader, to_server, struck), self._back(inner, writer, struck)]
        tasks = {asyncio.ensure_future(way) for way in ways}
        try:
            await asyncio.wait(tasks, return_when=asyncio.FIRST_COMPLETED)
        finally:
            to_server.close()
            for task in tasks:
                task.cancel()
            await asyncio.gather(*tasks, return_exceptions=True)
            await close(to_server)

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
