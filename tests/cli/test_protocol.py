"""The bounds on what a connection may cost before the app hears of it."""

from __future__ import annotations

import asyncio
import contextlib
from typing import TYPE_CHECKING, Any

import pytest
import uvicorn

from app.cli import protocol
from app.cli.address import listen, resolve
from app.cli.protocol import HEAD_LIMIT, BoundedHttp
from tests.support.alarm import auntil

if TYPE_CHECKING:
    from collections.abc import AsyncIterator


async def echo_length(scope: Any, receive: Any, send: Any) -> None:
    """Answers with the number of bytes in the body."""
    length, more = 0, True
    while more:
        message = await receive()
        length, more = length + len(message.get("body", b"")), message.get("more_body", False)
    body = str(length).encode()
    headers = [(b"content-length", str(len(body)).encode())]
    await send({"type": "http.response.start", "status": 200, "headers": headers})
    await send({"type": "http.response.body", "body": body})


class Caller:
    """A raw connection."""

    def __init__(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self.reader = reader
        self.writer = writer

    async def send(self, data: bytes) -> None:
        """All of it, or as much as the other side takes before it closes."""
        with contextlib.suppress(ConnectionError):
            for start in range(0, len(data), 16_384):
                self.writer.write(data[start : start + 16_384])
                await self.writer.drain()

    async def replies(self) -> bytes:
        """Everything until the other side closes."""
        received = b""
        with contextlib.suppress(ConnectionError):
            async with asyncio.timeout(10):
                while chunk := await self.reader.read(65_536):
                    received += chunk
        return received


@pytest.fixture
async def server() -> AsyncIterator[uvicorn.Server]:
    config = uvicorn.Config(echo_length, http=BoundedHttp, ws="none", lifespan="off", log_config=None)
    server = uvicorn.Server(config)
    listening, address = listen(resolve("127.0.0.1", 0))
    config.port = address.port
    serving = asyncio.create_task(server.serve([listening]))
    await auntil(lambda: server.started, "it serves")
    yield server
    server.should_exit = server.force_exit = True
    await serving


@pytest.fixture
async def caller(server: uvicorn.Server) -> AsyncIterator[Caller]:
    reader, writer = await asyncio.open_connection("127.0.0.1", server.config.port)
    yield Caller(reader, writer)
    writer.close()
    with contextlib.suppress(ConnectionError):
        await writer.wait_closed()


LONG = b"x" * (HEAD_LIMIT * 8)
HEAD = b"GET / HTTP/1.1\r\nhost: x\r\n"


@pytest.mark.parametrize(
    "endless",
    [
        b"GET /" + LONG,
        HEAD + LONG,
        HEAD + b"one: " + LONG,
        HEAD + b"name: value\r\n" * (HEAD_LIMIT // 2),
        b"POST / HTTP/1.1\r\ntransfer-encoding: chunked\r\n\r\n0\r\n" + b"name: value\r\n" * (HEAD_LIMIT // 2),
    ],
    ids=["line", "name", "value", "headers", "trailers"],
)
async def test_a_head_that_goes_on_and_on_is_cut_off(caller: Caller, server: uvicorn.Server, endless: bytes) -> None:
    await caller.send(endless)
    assert (await caller.replies())[:12] in (b"HTTP/1.1 400", b"")
    await auntil(lambda: not server.server_state.connections, "the connection is gone")


async def test_long_heads_and_longer_bodies_are_welcome(caller: Caller) -> None:
    cookie = b"cookie: " + b"c" * (HEAD_LIMIT - 1_000) + b"\r\n"
    body = b"b" * 1_000_000
    post = b"POST / HTTP/1.1\r\nhost: x\r\n" + cookie + b"content-length: %d\r\n\r\n" % len(body) + body
    await caller.send(post * 2 + HEAD + b"connection: close\r\n\r\n")
    replies = await caller.replies()
    assert replies.count(b"HTTP/1.1 200 OK") == 3
    assert replies.count(b"\r\n\r\n1000000") == 2


async def test_what_came_with_the_end_of_a_body_is_not_held_against_the_next_head(
    caller: Caller, server: uvicorn.Server
) -> None:
    """A chunk as large as the system gives: the end of one request and the beginning of another."""
    (connection,) = await auntil(lambda: server.server_state.connections, "it is connected")
    length = HEAD_LIMIT * 2
    connection.data_received(b"POST / HTTP/1.1\r\nhost: x\r\ncontent-length: %d\r\n\r\n" % length)
    connection.data_received(b"b" * length + b"GET /")
    connection.data_received(b" HTTP/1.1\r\nhost: x\r\nconnection: close\r\n\r\n")
    assert (await caller.replies()).count(b"HTTP/1.1 200 OK") == 2


@pytest.mark.parametrize("begun", [b"", HEAD], ids=["nothing", "half a head"])
async def test_who_never_asks_is_not_kept(
    begun: bytes, server: uvicorn.Server, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(protocol, "HEAD_SECONDS", 0.05)
    reader, writer = await asyncio.open_connection("127.0.0.1", server.config.port)
    caller = Caller(reader, writer)
    await caller.send(begun)
    assert await caller.replies() == b""
    writer.close()


async def test_who_asked_may_take_time(caller: Caller, server: uvicorn.Server) -> None:
    """The alarm is for the head: a body, or a stream, is the app's business."""
    await caller.send(b"POST / HTTP/1.1\r\nhost: x\r\ncontent-length: 2\r\n\r\n")
    (connection,) = await auntil(lambda: server.server_state.connections, "it is connected")
    assert isinstance(connection, BoundedHttp)
    await auntil(lambda: connection.cycle, "the app was asked")
    assert connection._alarm is None
    await caller.send(b"ab")
    assert (await caller.reader.readuntil(b"\r\n\r\n")).startswith(b"HTTP/1.1 200")
