"""A visit takes each event by itself, and says what came when it was not what the test wanted."""

from __future__ import annotations

from contextlib import asynccontextmanager
from typing import TYPE_CHECKING

import pytest

from tests.testkit.alarm import Alarm
from tests.testkit.listener import Listener
from tests.testkit.visit import Said, visit

if TYPE_CHECKING:
    import asyncio
    from collections.abc import AsyncIterator

HEAD = b"HTTP/1.1 200 OK\r\nContent-Type: text/event-stream\r\nConnection: close\r\n"
BLOCKS = (
    b'retry: 7\n\nid: 1\nevent: hello\ndata: {}\n\n: beat\n\nid: 2\ndata: {"data":"one"}\n\ndata: {"data":"two"}\n\n'
)


@asynccontextmanager
async def served(body: bytes, head: bytes = HEAD, missing: int = 0) -> AsyncIterator[tuple[str, list[bytes]]]:
    """The URL of a stream with this body, `missing` bytes short of the length it announces, and the requests."""
    heads = []

    async def answer(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        heads.append(await reader.readuntil(b"\r\n\r\n"))
        writer.write(head + b"Content-Length: %d\r\n\r\n" % (len(body) + missing) + body)

    async with Listener(answer) as listener:
        yield f"http://127.0.0.1:{listener.port}/stream", heads


async def test_events_are_taken_one_by_one() -> None:
    async with served(BLOCKS) as (url, heads), visit(url, "x-1-y") as visited:
        assert await visited.next("hello") == Said("hello", {}, "1")
        assert visited.last_event_id == "1", "of what was taken, not of what has come"
        assert await visited.messages(1) == ["one"]
        assert await visited.rest() == [Said("message", {"data": "two"}, None)]
        assert (visited.comments, visited.retry, visited.whole) == (1, 7, True)
    assert b"last-event-id: x-1-y\r\n" in heads[0].lower()


async def test_another_event_than_the_wanted_one_fails() -> None:
    async with served(BLOCKS) as (url, _), visit(url) as visited:
        with pytest.raises(AssertionError, match="is no message"):
            await visited.messages(1)


async def test_no_more_events_is_an_alarm() -> None:
    async with served(BLOCKS) as (url, _), visit(url) as visited:
        await visited.next("hello")
        await visited.messages(2)
        with pytest.raises(Alarm, match="the stream ended after '2'"):
            await visited.next()


async def test_a_stream_that_breaks_off_is_not_whole() -> None:
    async with served(BLOCKS, missing=1) as (url, _), visit(url) as visited:
        assert len(await visited.rest()) == 3
        assert not visited.whole


async def test_what_is_no_stream_fails() -> None:
    async with served(b"{}", b"HTTP/1.1 503 No\r\nConnection: close\r\n") as (url, _):
        with pytest.raises(AssertionError, match="503"):
            async with visit(url):
                pass
