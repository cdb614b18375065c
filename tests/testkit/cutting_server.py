"""A tiny server of numbered events that cuts every few of them: the test of the tests' own clients."""

from __future__ import annotations

import re
from contextlib import asynccontextmanager
from typing import TYPE_CHECKING

from tests.testkit.listener import Listener

if TYPE_CHECKING:
    import asyncio
    from collections.abc import AsyncIterator

_HEAD = (
    b"HTTP/1.1 200 OK\r\nContent-Type: text/event-stream\r\nCache-Control: no-store\r\n"
    b"Access-Control-Allow-Origin: *\r\nTransfer-Encoding: chunked\r\n\r\n"
)
_LAST_ID = re.compile(rb"(?im)^last-event-id: *(\d+)")


class CuttingServer:
    """Serves events 1 … `total` after the client's Last-Event-ID, `every` a connection.

    Ends in turn: an orderly end after an `end` event, a cut between blocks, a cut in mid-block.
    `resumed` are the Last-Event-IDs (0 for none) in order of the connections.
    """

    def __init__(self, total: int, every: int) -> None:
        self.total, self.every = total, every
        self.resumed: list[int] = []
        self.ends = {"orderly": 0, "cut": 0, "cut in mid-block": 0}
        self.url = ""

    async def answer(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        head = await reader.readuntil(b"\r\n\r\n")
        found = _LAST_ID.search(head)
        after = int(found[1]) if found else 0
        kind = list(self.ends)[len(self.resumed) % 3]
        self.resumed.append(after)
        last = min(self.total, after + self.every)
        writer.write(_HEAD + _chunk(f"retry: 20\nid: {after}\nevent: hello\ndata: {after}\n\n"))
        for n in range(after + 1, last + 1):
            writer.write(_chunk(_block(n)))
        await writer.drain()
        if last == self.total:
            await reader.read()  # all said: wait for the client to leave
        else:
            self.ends[kind] += 1
            writer.write(self._end(kind, last))

    def _end(self, kind: str, last: int) -> bytes:
        if kind == "orderly":
            return _chunk('event: end\ndata: {"reason":"deadline"}\n\n') + b"0\r\n\r\n"
        if kind == "cut":
            return b""
        return _chunk(_block(last + 1)[:-1])  # all but the blank line: must not be heard, nor its id kept


@asynccontextmanager
async def cutting_server(total: int, every: int) -> AsyncIterator[CuttingServer]:
    """One on a loopback port of its own; `url` is its stream's."""
    cutting = CuttingServer(total, every)
    async with Listener(cutting.answer) as listener:
        cutting.url = f"http://127.0.0.1:{listener.port}/stream"
        yield cutting


def _block(n: int) -> str:
    """Event `n`; every fifth has a name and every third a multi-byte text."""
    name = "event: ping\n" if n % 5 == 0 else ""
    return f"id: {n}\n{name}data: {'é' if n % 3 == 0 else ''}{n}\n\n"


def _chunk(text: str) -> bytes:
    body = text.encode()
    return b"%x\r\n%s\r\n" % (len(body), body)
