"""A head leaves with the first part of its body, in one write, where that comes at once or has to come."""

from __future__ import annotations

import asyncio
import gc
from weakref import ref

import pytest

from tests.cli.test_direct_write import START, asked

STREAM = b"HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\n\r\n"
FOUR = {**START, "headers": [(b"content-length", b"4")]}


async def test_a_head_leaves_with_its_body() -> None:
    one = await asked()
    await one.send(FOUR)
    assert one.wire.writes == []
    await one.send({"type": "http.response.body", "body": b"bo", "more_body": True})
    await one.send({"type": "http.response.body", "body": b"dy"})
    assert one.wire.writes == [b"HTTP/1.1 200 OK\r\ncontent-length: 4\r\n\r\nbo", b"dy"]
    await one.over()


@pytest.mark.parametrize(
    ("line", "start"),
    [
        (b"HEAD / HTTP/1.1", FOUR),
        (b"HEAD / HTTP/1.1", START),
        (b"GET / HTTP/1.0", START),
        (b"GET / HTTP/1.1", {**START, "headers": [(b"content-length", b"0")]}),
        (b"GET / HTTP/1.1", {**START, "status": 204}),
    ],
    ids=["to HEAD", "to HEAD of a stream", "of a stream of old", "of nothing", "without content"],
)
async def test_a_head_that_no_body_has_to_follow_leaves_at_once(line: bytes, start: dict[str, object]) -> None:
    one = await asked(line)
    await one.send(start)
    assert [write[-4:] for write in one.wire.writes] == [b"\r\n\r\n"]
    await one.over()


@pytest.mark.parametrize("direct", [False, True])
async def test_a_streams_head_leaves_with_what_is_sent_at_once(direct: bool) -> None:
    one = await asked()
    await one.send(START)
    if direct:
        assert one.write(b"hi")
    else:
        await one.send({"type": "http.response.body", "body": b"hi", "more_body": True})
    await one.send({"type": "http.response.body", "body": b"you", "more_body": True})
    assert one.wire.writes == [STREAM + b"2\r\nhi\r\n", b"3\r\nyou\r\n"]
    await one.over()


async def test_a_streams_head_waits_for_no_more_than_a_turn_of_the_loop() -> None:
    one = await asked()
    await one.send(START)
    await asyncio.sleep(0)
    assert one.wire.writes == [STREAM]
    await one.send({"type": "http.response.body", "body": b"hi", "more_body": True})
    assert one.wire.writes[1:] == [b"2\r\nhi\r\n"]
    await one.over()


async def test_nothing_is_written_to_a_client_that_is_gone() -> None:
    one = await asked()
    await one.send(START)
    one.wire.close()
    await one.over()
    assert one.wire.writes == []


async def test_an_app_that_fails_before_the_body_has_sent_the_head() -> None:
    one = await asked()
    await one.send(FOUR)
    one.go.set()  # it returns
    await asyncio.sleep(0)
    await asyncio.sleep(0)
    assert one.wire.body == b"" and one.wire.writes[0].endswith(b"\r\n\r\n")
    assert one.wire.closed


async def test_what_says_that_the_body_of_a_request_may_come_does_not_wait() -> None:
    one = await asked(b"POST / HTTP/1.1", b"expect: 100-continue", b"content-length: 1")
    one.protocol.data_received(b"x")
    await one.protocol.cycle.receive()
    assert one.wire.writes == [b"HTTP/1.1 100 Continue\r\n\r\n"]
    await one.send(FOUR)
    await one.send({"type": "http.response.body", "body": b"body"})
    assert one.wire.writes[1:] == [b"HTTP/1.1 200 OK\r\ncontent-length: 4\r\n\r\nbody"]
    await one.over()


async def test_a_response_that_never_comes_leaves_nothing_to_the_collector() -> None:
    one = await asked()
    await one.send(FOUR)
    left = ref(one.protocol.cycle)
    gc.disable()
    try:
        await one.over()
        one.scope = one.send = one.protocol = None
        assert left() is None
    finally:
        gc.enable()
