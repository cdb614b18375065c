"""Parts of a body that are written past `send`: what of HTTP they keep, and when they are left to `send`."""

from __future__ import annotations

import asyncio
import gc
from typing import Any
from weakref import ref

import pytest
import uvicorn
from uvicorn.server import ServerState

from gapless.cli.direct_write import EXTENSION
from gapless.cli.protocol import BoundedHttp

START = {"type": "http.response.start", "status": 200, "headers": []}
END = {"type": "http.response.body", "body": b"", "more_body": False}


class Wire(asyncio.Transport):
    """A transport that keeps what is written to it."""

    def __init__(self) -> None:
        super().__init__()
        self.writes: list[bytes] = []
        self.closed = False

    def write(self, data: Any) -> None:
        self.writes.append(data)

    def close(self) -> None:
        self.closed = True

    def is_closing(self) -> bool:
        return self.closed

    def resume_reading(self) -> None:
        pass

    @property
    def body(self) -> bytes:
        return b"".join(self.writes).partition(b"\r\n\r\n")[2]


class Asked:
    """A connection with one request, and what its app was given. The app waits to be told to go."""

    def __init__(self, head: bytes) -> None:
        self.wire = Wire()
        self.scope: Any = None
        self.send: Any = None
        self.go = asyncio.Event()
        config = uvicorn.Config(
            self._app, interface="asgi3", http=BoundedHttp, ws="none", lifespan="off", log_config=None
        )
        config.load()
        self.protocol: Any = BoundedHttp(config, ServerState(), {})
        self.protocol.connection_made(self.wire)
        self.protocol.data_received(head)

    async def _app(self, scope: Any, _: Any, send: Any) -> None:
        self.scope, self.send = scope, send
        await self.go.wait()

    def write(self, part: bytes) -> bool:
        written: bool = self.scope["extensions"][EXTENSION]["write"](part)
        return written

    async def over(self) -> None:
        """Nothing is left running."""
        self.go.set()
        self.protocol.connection_lost(None)
        await asyncio.sleep(0)
        await asyncio.sleep(0)


async def asked(line: bytes = b"GET / HTTP/1.1", *headers: bytes) -> Asked:
    """A request of which the app has just heard."""
    found = Asked(b"\r\n".join([line, b"host: x", *headers, b"", b""]))
    await asyncio.sleep(0)
    assert found.scope is not None
    return found


WRITTEN = [0, 1, 2]
"""Parts that were written at once: the first one goes with the head, and from the second on the way is known."""


async def begun(written: int) -> Asked:
    """A request whose response has begun with so many parts."""
    found = await asked()
    await found.send(START)
    for _ in range(written):
        assert found.write(b"begun")
    return found


async def test_a_part_is_a_chunk_between_those_that_are_sent() -> None:
    one = await asked()
    await one.send(START)
    await one.send({"type": "http.response.body", "body": b"first", "more_body": True})
    assert one.write(b"second, of 17 b.s")
    await one.send({"type": "http.response.body", "body": b"third", "more_body": True})
    await one.send(END)
    assert one.wire.body == b"5\r\nfirst\r\n11\r\nsecond, of 17 b.s\r\n5\r\nthird\r\n0\r\n\r\n"
    await one.over()


@pytest.mark.parametrize("written", WRITTEN)
async def test_a_response_that_is_over_leaves_nothing_to_the_collector(written: int) -> None:
    one = await begun(written)
    await one.send(END)
    over = ref(one.protocol.cycle)
    gc.disable()
    try:
        await one.over()
        one.scope = one.send = one.protocol = None
        assert over() is None
    finally:
        gc.enable()


@pytest.mark.parametrize("written", WRITTEN)
async def test_what_is_written_after_the_end_goes_nowhere(written: int) -> None:
    one = await begun(written)
    write = one.scope["extensions"][EXTENSION]["write"]
    await one.over()
    one.scope = one.send = one.protocol = None
    left: list[bool] = []
    assert not write(b"late")
    write.on_disconnect(lambda: left.append(True))
    assert left == [True]


@pytest.mark.parametrize("written", WRITTEN)
async def test_nothing_is_written_while_the_client_does_not_keep_up(written: int) -> None:
    """Flow control bounds what a client that reads nothing can hold here: the transport's buffer."""
    one = await begun(written)
    one.protocol.pause_writing()
    before = list(one.wire.writes)
    assert not one.write(b"part")
    assert one.wire.writes == before
    one.protocol.resume_writing()
    assert one.write(b"part")
    assert one.wire.body.endswith(b"4\r\npart\r\n")
    await one.over()


async def test_what_goes_to_many_is_framed_once() -> None:
    many = [await asked() for _ in range(3)]
    part = b"the same for all"
    for one in many:
        await one.send(START)
        assert one.write(b"with the head")
    for one in many:
        assert one.write(part)
    assert len({id(one.wire.writes[-1]) for one in many}) == 1
    for one in many:
        await one.over()


@pytest.mark.parametrize("written", WRITTEN)
async def test_a_client_that_is_gone_is_left_to_send(written: int) -> None:
    one = await begun(written)
    one.protocol.connection_lost(None)
    before = list(one.wire.writes)
    assert not one.write(b"part")
    assert one.wire.writes == before
    await one.over()


async def test_before_its_head_a_body_has_no_parts() -> None:
    one = await asked()
    assert not one.write(b"part")
    await one.over()


@pytest.mark.parametrize("written", WRITTEN)
async def test_after_its_end_a_body_has_no_parts(written: int) -> None:
    one = await begun(written)
    await one.send(END)
    before = list(one.wire.writes)
    assert not one.write(b"part")
    assert one.wire.writes == before
    await one.over()


async def test_a_body_of_a_given_length_is_left_to_send() -> None:
    one = await asked()
    await one.send({**START, "headers": [(b"content-length", b"4")]})
    assert not one.write(b"part")
    await one.send({"type": "http.response.body", "body": b"part"})
    assert one.wire.body == b"part"
    await one.over()


async def test_a_connection_that_closes_afterwards_is_written_to_as_any_other() -> None:
    one = await asked(b"GET / HTTP/1.1", b"connection: close")
    await one.send(START)
    assert one.write(b"part")
    await one.send(END)
    assert one.wire.body == b"4\r\npart\r\n0\r\n\r\n"
    assert one.wire.closed
    await one.over()


@pytest.mark.parametrize("line", [b"GET / HTTP/1.0", b"HEAD / HTTP/1.1", b"POST / HTTP/1.1"])
async def test_where_there_is_no_chunked_body_to_read_nothing_is_offered(line: bytes) -> None:
    one = await asked(line)
    assert EXTENSION not in one.scope.get("extensions", {})
    await one.over()


async def test_who_asked_is_told_once_that_the_client_is_gone() -> None:
    one, told = await asked(), []
    one.scope["extensions"][EXTENSION]["on_disconnect"](lambda: told.append(1))
    assert told == []
    one.protocol.connection_lost(None)
    assert told == [1]
    one.scope["extensions"][EXTENSION]["on_disconnect"](lambda: told.append(2))
    assert told == [1, 2], "who asks late is told at once"
    await one.over()


async def test_the_client_of_a_later_request_is_told_of_by_that_one() -> None:
    """What was answered has nobody who waits: its connection goes on with the next request."""
    one, told = await asked(), []
    one.scope["extensions"][EXTENSION]["on_disconnect"](lambda: told.append(1))
    await one.send({**START, "headers": [(b"content-length", b"0")]})
    await one.send({"type": "http.response.body"})
    one.go.set()
    await asyncio.sleep(0)
    one.go = asyncio.Event()
    one.protocol.data_received(b"GET /next HTTP/1.1\r\nhost: x\r\n\r\n")
    await asyncio.sleep(0)
    one.scope["extensions"][EXTENSION]["on_disconnect"](lambda: told.append(2))
    one.protocol.connection_lost(None)
    assert told == [2]
    await one.over()


@pytest.mark.parametrize("header", [b"content-length: 3", b"transfer-encoding: chunked"])
async def test_a_body_that_nobody_reads_could_hide_that_the_client_is_gone(header: bytes) -> None:
    """It stops the reading from the connection once there is much of it; `receive` goes on with it."""
    one = await asked(b"GET / HTTP/1.1", header)
    assert EXTENSION not in one.scope.get("extensions", {})
    await one.over()
