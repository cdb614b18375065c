"""The transport that many readers share: bodies come whole, what is cut is an error, connections are used again."""

from __future__ import annotations

import asyncio
from contextlib import asynccontextmanager
from typing import TYPE_CHECKING

import httpx
import pytest

from tests.testkit.listener import Listener
from tests.testkit.wire import Wire

if TYPE_CHECKING:
    from collections.abc import AsyncIterator

CHUNKED = b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n"
WHOLE = b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nhi"


class Server:
    """Answers every request with the same pieces; counts connections and requests."""

    def __init__(self, *pieces: bytes, closes: bool = False) -> None:
        self.pieces, self.closes = pieces, closes
        self.connections = 0
        self.heads: list[bytes] = []
        self.url = ""

    async def answer(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self.connections += 1
        while True:
            self.heads.append(await reader.readuntil(b"\r\n\r\n"))
            for piece in self.pieces:
                writer.write(piece)
                await writer.drain()
                await asyncio.sleep(0)
            if self.closes:
                return


@asynccontextmanager
async def asking(*pieces: bytes, closes: bool = False) -> AsyncIterator[tuple[Server, httpx.AsyncClient]]:
    server = Server(*pieces, closes=closes)
    async with Listener(server.answer) as listener, httpx.AsyncClient(transport=Wire(), timeout=10) as client:
        server.url = f"http://127.0.0.1:{listener.port}/a?b=c"
        yield server, client


@pytest.mark.parametrize(
    "pieces",
    [
        (WHOLE,),
        (WHOLE[:-1], WHOLE[-1:]),
        (CHUNKED + b"2\r\nhi\r\n0\r\n\r\n",),
        (CHUNKED, b"1;x=y\r\nh\r", b"\n1\r\ni", b"\r\n0\r", b"\n\r\n"),
    ],
)
async def test_a_body_comes_whole_and_its_connection_is_used_again(pieces: tuple[bytes, ...]) -> None:
    async with asking(*pieces) as (server, client):
        for _ in range(2):
            reply = await client.get(server.url, headers={"X-One": "1"})
            assert (reply.status_code, reply.text) == (200, "hi")
    assert server.connections == 1
    assert server.heads[0].startswith(b"GET /a?b=c HTTP/1.1\r\n")
    assert b"X-One: 1\r\n" in server.heads[0]


@pytest.mark.parametrize("pieces", [(WHOLE[:-1],), (CHUNKED + b"2\r\nh",), (CHUNKED + b"2\r\nhi\r\n",)])
async def test_what_breaks_off_is_an_error_and_no_end(pieces: tuple[bytes, ...]) -> None:
    async with asking(*pieces, closes=True) as (server, client):
        with pytest.raises(httpx.RemoteProtocolError):
            await client.get(server.url)


async def test_no_answer_at_all_is_an_error() -> None:
    async with asking(closes=True) as (server, client):
        with pytest.raises(httpx.ReadError):
            await client.get(server.url)
        server.closes = False
        with pytest.raises(httpx.ReadTimeout):
            await client.get(server.url, timeout=httpx.Timeout(10, read=0.05))
    with pytest.raises(httpx.ConnectError):
        async with httpx.AsyncClient(transport=Wire()) as client:
            await client.get(server.url)


async def test_a_stream_that_is_left_is_cut() -> None:
    async with asking(CHUNKED + b"2\r\nhi\r\n") as (server, client):
        for _ in range(2):
            async with client.stream("GET", server.url) as reply:
                assert await anext(reply.aiter_bytes()) == b"hi"
        assert server.connections == 2
