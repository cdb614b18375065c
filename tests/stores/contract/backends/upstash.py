"""Upstash over REST: its emulator, in a process of its own, before a Valkey."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Iterator, Sequence
from contextlib import asynccontextmanager, contextmanager
from pathlib import Path
from typing import Any, cast

import pytest

from gapless.stores.upstash import rest as upstash_rest
from gapless.stores.upstash import upstream as upstash_upstream
from gapless.stores.upstash.store import UpstashStore
from tests.stores.contract.backend import Keep, Losses
from tests.testkit.listener import Listener, close
from tests.testkit.port import free_port
from tests.testkit.upstash import EmulatorProcess
from tests.testkit.valkey import BOOKKEEPING, SUBSCRIPTIONS, Counted, Valkey, counting, start_valkey


class Behind:
    """Valkey and the emulator before it as one server, which bills by the emulator's counts."""

    def __init__(self, valkey: Valkey, emulator: EmulatorProcess) -> None:
        self._valkey = valkey
        self._emulator = emulator

    @contextmanager
    def count_commands(self) -> Iterator[Counted]:
        """As `Valkey.count_commands`."""
        with counting(self._bill, BOOKKEEPING | SUBSCRIPTIONS) as counted:
            yield counted

    def _bill(self) -> dict[str, int]:
        return {name.lower(): count for name, count in self._emulator.counts().items()}

    def kill(self) -> None:
        self._emulator.process.kill()
        self._valkey.kill()

    def start(self) -> None:
        self._valkey.start()
        self._emulator.__enter__()

    def pause(self) -> None:
        self._emulator.process.pause()

    def resume(self) -> None:
        self._emulator.process.resume()

    def cli(self, *args: str | int | float | bytes, alarm: float = 5.0) -> Any:
        """As `Valkey.cli`, where a client of the emulator's own, which outlives what it served, is none."""
        if args == ("CLIENT", "LIST"):
            return self._valkey.cli("CLIENT", "LIST", "TYPE", "pubsub") + "and this one\n"
        return self._valkey.cli(*args, alarm=alarm)

    def __getattr__(self, name: str) -> Any:
        return getattr(self._valkey, name)


class Upstash:
    """A database at `url`."""

    def __init__(self, valkey: Valkey, emulator: EmulatorProcess, url: str) -> None:
        self._server = cast("Valkey", Behind(valkey, emulator))
        self._valkey = valkey
        self._emulator = emulator
        self._url = url

    @property
    def valkeys(self) -> Sequence[Valkey]:
        return [self._server]

    def keeper(self, channel: str) -> Valkey:
        return self._server

    def open(self, keep: Keep) -> UpstashStore:
        return UpstashStore(self._url, self._emulator.token, keep.layout, page=keep.page)

    @asynccontextmanager
    async def lossy(self, losses: Losses) -> AsyncIterator[Upstash]:
        relay = _Relay(self._url, losses)
        async with Listener(relay.answer) as listener:
            yield Upstash(self._valkey, self._emulator, f"http://127.0.0.1:{listener.port}")

    def silence(self) -> int:
        return self._emulator.cut(how="reset")

    def hurry(self, patch: pytest.MonkeyPatch, seconds: float) -> None:
        patch.setattr(upstash_rest, "REPLY_TIMEOUT", seconds)
        patch.setattr(upstash_upstream, "ACK_TIMEOUT", seconds)


class _Relay:
    """To the emulator and back; breaks off instead of the reply to a script that is to be lost."""

    def __init__(self, url: str, losses: Losses) -> None:
        self._port = int(url.rpartition(":")[2])
        self._losses = losses

    async def answer(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        replies, server = await asyncio.open_connection("127.0.0.1", self._port)
        try:
            while data := await reader.read(1 << 20):
                server.write(data)
                reply = await _reply(replies)
                if b"EVAL" in data and self._losses.strike():
                    self._losses.then()
                    return
                writer.write(reply)
                await writer.drain()
        finally:
            await close(server)


async def _reply(reader: asyncio.StreamReader) -> bytes:
    """One whole answer: its head says how long it is."""
    head = await reader.readuntil(b"\r\n\r\n")
    length = next(line for line in head.lower().splitlines() if line.startswith(b"content-length:"))
    return head + await reader.readexactly(int(length.partition(b":")[2]))


@contextmanager
def run(folder: Path) -> Iterator[Upstash]:
    with start_valkey(folder) as valkey, EmulatorProcess(valkey.url, "--port", str(free_port())) as emulator:
        yield Upstash(valkey, emulator, emulator.url)
