"""The forwarder cuts in mid-block, lets a reader find a backlog, and counts what struck."""

from __future__ import annotations

import asyncio
import re
from contextlib import asynccontextmanager
from typing import TYPE_CHECKING

from tests.testkit.cutter import BACKLOG, Cutter
from tests.testkit.listener import Listener

if TYPE_CHECKING:
    from collections.abc import AsyncIterator

TOTAL = 400


@asynccontextmanager
async def cut_off(head: int = TOTAL) -> AsyncIterator[Cutter]:
    """A cutter before a server that sends all messages after the one that is asked for, then waits."""

    async def answer(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        request = await reader.readuntil(b"\r\n\r\n")
        found = re.search(rb"Last-Event-ID: e-(\d+)-x", request)
        after = int(found[1]) if found else 0
        for n in range(after + 1, TOTAL + 1):
            writer.write(b'id: e-%d-x\ndata: {"id":"e-%d-x","data":1}\n\n' % (n, n))
            await writer.drain()
        await reader.read()

    async with Listener(answer) as listener, Cutter(listener.port, lambda: head, TOTAL) as cutter:
        yield cutter


async def read(cutter: Cutter, after: int) -> list[int]:
    """The numbers of the whole messages of one connection; all that there are, where it is not cut."""
    port = int(cutter.url.rpartition(":")[2])
    reader, writer = await asyncio.open_connection("127.0.0.1", port)
    writer.write(b"GET / HTTP/1.1\r\n" + (b"Last-Event-ID: e-%d-x\r\n" % after if after else b"") + b"\r\n")
    data, last = b"", b"id: e-%d-x\n" % TOTAL
    try:
        while not (last in data and data.endswith(b"\n\n")) and (piece := await reader.read(65_536)):
            data += piece
    except ConnectionResetError:
        pass
    writer.close()
    blocks = data.split(b"\n\n")[:-1]  # what has no blank line after it has not come
    return [int(block.partition(b"-")[2].partition(b"-")[0]) for block in blocks]


async def test_each_message_comes_once_to_a_reader_that_comes_back() -> None:
    async with cut_off() as cutter:
        seen: list[int] = []
        connections = 0
        while not seen or seen[-1] < TOTAL:
            seen += await read(cutter, seen[-1] if seen else 0)
            connections += 1
    assert seen == list(range(1, TOTAL + 1))
    assert cutter.cuts == connections - 1 >= 5
    assert 1 <= cutter.mid_backlog < cutter.cuts
    assert cutter.passed == TOTAL


async def test_nobody_is_cut_near_the_end() -> None:
    async with cut_off() as cutter:
        near = TOTAL - 2 * BACKLOG + 1
        assert await read(cutter, near) == list(range(near + 1, TOTAL + 1))
        assert cutter.cuts == 0
