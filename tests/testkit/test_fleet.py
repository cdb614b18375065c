"""The front: a seeded draw for each request, the dead skipped, nothing changed on the way."""

from __future__ import annotations

import asyncio
from contextlib import AsyncExitStack, asynccontextmanager, suppress
from typing import TYPE_CHECKING

import httpx
import pytest

from tests.testkit.fleet import Front
from tests.testkit.listener import Listener, close
from tests.testkit.port import free_port

if TYPE_CHECKING:
    from collections.abc import AsyncIterator


class Backend:
    """Answers each request with what it got, and would keep connections open if it were let."""

    def __init__(self) -> None:
        self.listener = Listener(self.answer)
        self.heads: list[str] = []

    @property
    def port(self) -> int:
        return self.listener.port

    async def answer(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        last = False
        while not last:
            self.heads.append((await reader.readuntil(b"\r\n\r\n")).decode())
            last = "connection: close" in self.heads[-1].lower()
            writer.write(b"HTTP/1.1 200 OK\r\nContent-Length: 100000\r\n")
            writer.write((b"Connection: close\r\n" if last else b"") + b"\r\n" + b"x" * 100_000)


@asynccontextmanager
async def backends(n: int) -> AsyncIterator[list[Backend]]:
    async with AsyncExitStack() as stack:
        made = [Backend() for _ in range(n)]
        for backend in made:
            await stack.enter_async_context(backend.listener)
        yield made


async def ask(front: Front, n: int, **headers: str) -> None:
    async with httpx.AsyncClient(base_url=front.url, trust_env=False) as client:
        for _ in range(n):
            answer = await client.get("/a?b=c", headers=headers)
            assert (answer.status_code, len(answer.content)) == (200, 100_000)


async def test_draws_anew_for_each_request_of_a_client_that_keeps_alive() -> None:
    async with backends(2) as (left, right), Front(lambda: [left.port, right.port], seed=3) as front:
        await ask(front, 20)
    assert min(front.hits.values()) >= 4
    assert front.hits == {left.port: len(left.heads), right.port: len(right.heads)}


async def test_the_same_seed_draws_the_same() -> None:
    drawn: list[list[int]] = [[], []]
    for order in drawn:
        async with backends(2) as made, Front(lambda: [one.port for one in made], seed=3) as front:
            for _ in range(16):
                before = len(made[0].heads)
                await ask(front, 1)
                order.append(len(made[0].heads) - before)
    assert drawn[0] == drawn[1]


async def test_changes_the_connection_header_and_nothing_else() -> None:
    async with backends(1) as (only,), Front(lambda: [only.port]) as front:
        await ask(front, 1, **{"Last-Event-ID": "t9x2k0ab-41-m4ez", "Connection": "keep-alive"})
    lines = only.heads[0].split("\r\n")
    assert lines[:2] == ["GET /a?b=c HTTP/1.1", "Connection: close"]
    assert [line for line in lines if line.lower().startswith("connection")] == ["Connection: close"]
    assert f"Host: {front.url.removeprefix('http://')}" in lines
    assert "Last-Event-ID: t9x2k0ab-41-m4ez" in lines
    assert not any("forwarded" in line.lower() for line in lines)


async def test_skips_the_dead_and_follows_the_list() -> None:
    async with backends(2) as (left, right):
        ports = [free_port(), left.port]
        async with Front(lambda: ports) as front:
            await ask(front, 6)
            assert front.hits == {left.port: 6}
            ports[:] = [right.port]
            await ask(front, 1)
            assert front.hits[right.port] == 1


async def test_with_nobody_there_it_hangs_up() -> None:
    async with Front(lambda: [free_port()]) as front:
        with pytest.raises(httpx.RemoteProtocolError):
            await ask(front, 1)
        assert front.refused == 1


async def test_open_connections_can_be_cut() -> None:
    async with backends(1) as (only,), Front(lambda: [only.port]) as front:
        reader, writer = await asyncio.open_connection("127.0.0.1", int(front.url.split(":")[-1]))
        writer.write(b"GET / HTTP/1.1\r\n\r\n")
        await reader.readuntil(b"\r\n\r\n")
        assert await front.cut_all() == 1
        with suppress(ConnectionResetError):
            await reader.read()
        await close(writer)
