"""The bounds on what a connection may cost before the app hears of it."""

from __future__ import annotations

import asyncio
import contextlib
import logging
from functools import partial
from typing import TYPE_CHECKING, Any

import pytest
import uvicorn

from gapless.cli import protocol
from gapless.cli.address import listen, resolve
from gapless.cli.protocol import HEAD_LIMIT, MOST_FIELDS, MOST_IN_FLIGHT, BoundedHttp
from tests.testkit.alarm import auntil

if TYPE_CHECKING:
    from collections.abc import AsyncIterator


async def echo_length(scope: Any, receive: Any, send: Any) -> None:
    """Answers with the number of bytes in the body, which it does not read where the path says so."""
    length, more = 0, scope["path"] != "/early"
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


async def running(app: Any) -> AsyncIterator[uvicorn.Server]:
    """This app, served."""
    config = uvicorn.Config(app, http=BoundedHttp, ws="none", lifespan="off", log_config=None, timeout_keep_alive=1)
    server = uvicorn.Server(config)
    listening, address = listen(resolve("127.0.0.1", 0))
    config.port = address.port
    serving = asyncio.create_task(server.serve([listening]))
    await auntil(lambda: server.started, "it serves")
    yield server
    server.should_exit = server.force_exit = True
    await serving


@pytest.fixture
async def server(request: pytest.FixtureRequest) -> AsyncIterator[uvicorn.Server]:
    """Of the app `echo_length`, unless a test brings another."""
    async for server in running(getattr(request, "param", echo_length)):
        yield server


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


async def test_who_asked_may_take_time(caller: Caller, server: uvicorn.Server, monkeypatch: pytest.MonkeyPatch) -> None:
    """The alarm is for the head: a body, or a stream, is the app's business."""
    monkeypatch.setattr(protocol, "HEAD_SECONDS", 0.05)
    await caller.send(b"POST / HTTP/1.1\r\nhost: x\r\ncontent-length: 2\r\n\r\n")
    (connection,) = await auntil(lambda: server.server_state.connections, "it is connected")
    assert isinstance(connection, BoundedHttp)
    await auntil(lambda: connection.cycle, "the app was asked")
    reader, writer = await asyncio.open_connection("127.0.0.1", server.config.port)
    assert await Caller(reader, writer).replies() == b"", "who came later and did not ask is not kept"
    writer.close()
    await caller.send(b"ab")
    assert (await caller.reader.readuntil(b"\r\n\r\n")).startswith(b"HTTP/1.1 200")


# --- what costs more than its bytes


async def test_headers_are_counted_as_they_stand_on_the_wire(caller: Caller) -> None:
    """40,000 of the shortest would be 160 KB on the wire, and 5 MiB here."""
    await caller.send(HEAD + b"a:\r\n" * (MOST_FIELDS - 1) + b"\r\n")
    assert (await caller.reader.readuntil(b"\r\n\r\n0")).startswith(b"HTTP/1.1 200")
    await caller.send(HEAD + b"a:\r\n" * MOST_FIELDS + b"\r\n")
    assert (await caller.replies())[:12] == b"HTTP/1.1 400"


@pytest.mark.parametrize(
    "head", [b"GET /?%b HTTP/1.1\r\nhost: x\r\n\r\n", b"GET / HTTP/1.1\r\nhost: x\r\nCookie: %b\r\n\r\n"]
)
async def test_parts_of_a_query_and_cookies_are_counted_as_headers(caller: Caller, head: bytes) -> None:
    """Whoever asks for a token looks for one in both: in 64 KiB of `a&`, for 30 ms."""
    sign = b"&" if b"?" in head else b";"
    rest = MOST_FIELDS - head.count(b"\r\n") + 2  # the line and the last one are no headers
    await caller.send(head % (sign * rest))
    assert (await caller.reader.readuntil(b"\r\n\r\n0")).startswith(b"HTTP/1.1 200")
    await caller.send(head % (sign * (rest + 1)))
    assert (await caller.replies())[:12] == b"HTTP/1.1 400"


async def test_what_stands_between_headers_counts(caller: Caller) -> None:
    each = b"a: %b\r\n" % (b"x" * 258)
    await caller.send(HEAD + each * (HEAD_LIMIT // len(each)))
    await caller.send(each + b"\r\n")
    assert (await caller.replies())[:12] == b"HTTP/1.1 400"


async def test_a_line_counts_too(caller: Caller) -> None:
    half = b"x" * (HEAD_LIMIT // 2)
    await caller.send(b"GET /" + half + b" HTTP/1.1\r\nhost: x\r\ncookie: " + half + b"\r\n\r\n")
    assert (await caller.replies())[:12] == b"HTTP/1.1 400"


async def test_a_trailer_is_no_header(caller: Caller, server: uvicorn.Server) -> None:
    chunked = b"POST / HTTP/1.1\r\nhost: x\r\ntransfer-encoding: chunked\r\n\r\n"
    await caller.send(chunked + b"2\r\nab\r\n0\r\nx-forwarded-for: 1.2.3.4\r\n\r\n")
    assert (await caller.reader.readuntil(b"\r\n\r\n2")).startswith(b"HTTP/1.1 200")
    (connection,) = server.server_state.connections
    assert isinstance(connection, BoundedHttp)
    assert [name for name, _ in connection.scope["headers"]] == [b"host", b"transfer-encoding"]


# --- many at once


class Slow:
    """An app that answers nobody until it may."""

    def __init__(self) -> None:
        self.asked = 0
        self.may = asyncio.Event()

    async def __call__(self, scope: Any, receive: Any, send: Any) -> None:
        self.asked += 1
        await self.may.wait()
        await echo_length(scope, receive, send)


@pytest.fixture
def slow() -> Slow:
    return Slow()


@pytest.fixture
async def patient(slow: Slow) -> AsyncIterator[tuple[uvicorn.Server, Caller]]:
    """A server of the app `slow`, and a caller."""
    async for server in running(slow):
        reader, writer = await asyncio.open_connection("127.0.0.1", server.config.port)
        yield server, Caller(reader, writer)
        writer.close()


async def test_a_few_requests_are_in_flight_and_the_rest_waits(
    patient: tuple[uvicorn.Server, Caller], slow: Slow
) -> None:
    server, caller = patient
    many = 2_000
    sending = asyncio.create_task(caller.send((HEAD + b"\r\n") * many + HEAD + b"connection: close\r\n\r\n"))
    (connection,) = await auntil(lambda: server.server_state.connections, "it is connected")
    assert isinstance(connection, BoundedHttp)
    await auntil(lambda: connection.flow.read_paused, "more has come than may be in flight")
    assert len(connection.pipeline) + slow.asked == MOST_IN_FLIGHT
    assert slow.asked == 1
    slow.may.set()
    assert (await caller.replies()).count(b"HTTP/1.1 200 OK") == many + 1
    await sending


async def test_who_leaves_with_many_in_flight_leaves_nothing(
    patient: tuple[uvicorn.Server, Caller], slow: Slow, caplog: pytest.LogCaptureFixture
) -> None:
    server, caller = patient
    await caller.send((HEAD + b"\r\n") * 1_000)
    await auntil(lambda: slow.asked, "the app was asked")
    caller.writer.transport.abort()
    (connection,) = server.server_state.connections
    assert isinstance(connection, BoundedHttp)
    connection.flow.release()  # what is not read does not end
    await auntil(lambda: not server.server_state.connections, "the connection is gone")
    slow.may.set()
    await auntil(lambda: not server.server_state.tasks, "the app is done")
    assert slow.asked == 1, "nobody is there for the rest"
    assert [record for record in caplog.records if record.levelno >= logging.ERROR] == []


class Listening:
    """An app that answers nobody, and hears who leaves."""

    def __init__(self) -> None:
        self.asked = self.left = 0

    async def __call__(self, scope: Any, receive: Any, send: Any) -> None:
        self.asked += 1
        while (await receive())["type"] != "http.disconnect":
            pass
        self.left += 1


async def test_the_request_that_is_served_hears_that_its_client_left_behind_others() -> None:
    """uvicorn tells the newest request only; a stream would stay open for its whole lifetime."""
    listening = Listening()
    async for server in running(listening):
        _, writer = await asyncio.open_connection("127.0.0.1", server.config.port)
        writer.write((HEAD + b"\r\n") * 2)
        await auntil(lambda: listening.asked, "the app was asked")
        await auntil(partial(_waits, server), "another request waits")
        writer.transport.abort()
        await auntil(lambda: listening.left, "it was told")
        assert listening.asked == 1


def _waits(server: uvicorn.Server) -> bool:
    (connection,) = server.server_state.connections
    assert isinstance(connection, BoundedHttp)
    return bool(connection.pipeline)


async def test_a_bad_request_speaks_after_those_before_it(patient: tuple[uvicorn.Server, Caller], slow: Slow) -> None:
    """A 400 that is written at once would be taken for the answer to the first."""
    _, caller = patient
    await caller.send((HEAD + b"\r\n") * 2 + b"nonsense\r\n\r\n" + SMUGGLED)
    await auntil(lambda: slow.asked, "the app was asked")
    slow.may.set()
    replies = await caller.replies()
    assert (replies.count(b"HTTP/1.1 200 OK"), replies.count(b"HTTP/1.1")) == (2, 2)
    assert b"connection: close" in replies


@pytest.mark.parametrize("first", [b"", HEAD + b"\r\n"], ids=["alone", "behind another"])
async def test_a_body_that_turns_bad_ends_its_own_request(first: bytes, caller: Caller) -> None:
    await caller.send(first + b"POST / HTTP/1.1\r\nhost: x\r\ntransfer-encoding: chunked\r\n\r\nno chunk\r\n")
    replies = await caller.replies()
    assert replies.count(b"HTTP/1.1 200 OK") <= bool(first)
    assert replies.count(b"HTTP/1.1 400") == (not first)


# --- what is left of a body


@pytest.mark.parametrize("left", [b"b", b"\r\n", b""], ids=["a byte of it", "empty lines", "nothing"])
async def test_what_comes_after_an_answer_and_is_no_request_is_not_waited_on(
    left: bytes, caller: Caller, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(protocol, "HEAD_SECONDS", 0.05)
    length = 0 if left == b"\r\n" else 10
    await caller.send(b"POST /early HTTP/1.1\r\nhost: x\r\ncontent-length: %d\r\n\r\n" % length)
    assert (await caller.reader.readuntil(b"\r\n\r\n0")).startswith(b"HTTP/1.1 200")
    if left:
        await caller.send(left)
    assert await caller.replies() == b""


# --- other protocols


OFFERS = {
    "as Java does": b"connection: Upgrade, HTTP2-Settings\r\nupgrade: h2c\r\nhttp2-settings: AAMAAABk\r\n",
    "WebSocket": b"connection: keep-alive, upgrade\r\nupgrade: websocket\r\nsec-websocket-key: eA==\r\n",
    "two lines": b"connection: upgrade\r\nupgrade: a\r\nupgrade: b/1\r\nconnection: x\r\n",
}
SMUGGLED = b"GET /smuggled HTTP/1.1\r\nhost: x\r\n\r\n"
BODIES = {
    "length": b"content-length: %d\r\n\r\n" % len(SMUGGLED) + SMUGGLED,
    "chunks": b"transfer-encoding: chunked\r\n\r\n%x\r\n" % len(SMUGGLED) + SMUGGLED + b"\r\n0\r\n\r\n",
}


@pytest.mark.parametrize("size", [1, 7, 1_000_000], ids=["bytewise", "in pieces", "at once"])
@pytest.mark.parametrize("body", BODIES.values(), ids=BODIES)
@pytest.mark.parametrize("offer", OFFERS.values(), ids=OFFERS)
async def test_a_body_is_no_request_whatever_its_head_offers(
    offer: bytes, body: bytes, size: int, server: uvicorn.Server, caller: Caller
) -> None:
    (connection,) = await auntil(lambda: server.server_state.connections, "it is connected")
    raw = (b"POST / HTTP/1.1\r\nhost: x\r\n" + offer + body) * 2 + HEAD + offer + b"\r\n"
    for start in range(0, len(raw), size):
        connection.data_received(raw[start : start + size])
    connection.data_received(HEAD + b"connection: close\r\n\r\n")
    replies = await caller.replies()
    assert [reply.rpartition(b"\r\n")[2] for reply in replies.split(b"HTTP/1.1 200 OK")[1:]] == [
        b"%d" % len(SMUGGLED),
        b"%d" % len(SMUGGLED),
        b"0",
        b"0",
    ]


async def test_close_is_heard_beside_an_offer(caller: Caller) -> None:
    await caller.send(HEAD + b"connection: close, upgrade\r\nupgrade: h2c\r\n\r\n" + SMUGGLED)
    assert (await caller.replies()).count(b"HTTP/1.1") == 1


async def test_it_is_no_proxy(caller: Caller) -> None:
    await caller.send(b"CONNECT x:443 HTTP/1.1\r\nhost: x\r\n\r\n" + SMUGGLED)
    replies = await caller.replies()
    assert (replies[:12], replies.count(b"HTTP/1.1")) == (b"HTTP/1.1 400", 1)


async def in_two_parts(scope: Any, receive: Any, send: Any) -> None:
    """A body whose length nobody knows beforehand."""
    await send({"type": "http.response.start", "status": 200, "headers": []})
    await send({"type": "http.response.body", "body": b"one,", "more_body": True})
    await send({"type": "http.response.body", "body": b"two"})


@pytest.mark.parametrize("server", [in_two_parts], indirect=True)
async def test_http_1_0_knows_no_chunks(caller: Caller) -> None:
    await caller.send(b"GET / HTTP/1.0\r\n\r\n")
    head, _, body = (await caller.replies()).partition(b"\r\n\r\n")
    assert body == b"one,two"
    assert b"chunked" not in head
    assert b"connection: close" in head


async def test_http_1_0_is_told_a_length_that_is_known(caller: Caller) -> None:
    await caller.send(b"POST / HTTP/1.0\r\ncontent-length: 2\r\n\r\nab")
    head, _, body = (await caller.replies()).partition(b"\r\n\r\n")
    assert (b"content-length: 1" in head, body) == (True, b"2")
