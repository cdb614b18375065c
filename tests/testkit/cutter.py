"""A forwarder that cuts streams in the middle of a block, by turns while a reader catches up and while it is live.

So that there is something to catch up with, a connection that is to be cut in mid-backlog is let through only once
enough was published meanwhile. What counts as a hit is what the reader itself says when it comes back: a test whose
fault never struck has shown nothing.
"""

from __future__ import annotations

import asyncio
import re
from random import Random
from typing import TYPE_CHECKING, Self

from tests.testkit.alarm import auntil
from tests.testkit.listener import Listener, close

if TYPE_CHECKING:
    from collections.abc import Callable

_MESSAGE = re.compile(rb'^data: \{"id":"\w+-(\d+)-', re.MULTILINE)
_LAST_EVENT_ID = re.compile(rb"(?im)^last-event-id: *\w+-(\d+)-")
BACKLOG = 24
"""Messages that a reader finds waiting where it is to be cut in the middle of them."""


class Cutter:
    """Forwards one reader's requests to the service at `port`, as long as fewer than `total` messages were published.

    `head()` is the number of the newest message of the one channel that is read.
    """

    def __init__(self, port: int, head: Callable[[], int], total: int, *, seed: int = 1) -> None:
        self.passed = 0
        """The number of the newest message that was forwarded, at least in part."""
        self.cuts = 0
        self.mid_backlog = 0
        """Cuts after which the reader came back with some, but not all, of what had waited for it."""
        self._port = port
        self._head = head
        self._total = total
        self._dice = Random(seed)
        self._listener = Listener(self._carry)
        self._waited = range(0)

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self._listener.port}"

    async def __aenter__(self) -> Self:
        await self._listener.__aenter__()
        return self

    async def __aexit__(self, *_: object) -> None:
        await self._listener.__aexit__()

    async def _carry(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        request = await reader.readuntil(b"\r\n\r\n")
        found = _LAST_EVENT_ID.search(request)
        at = int(found[1]) if found else 0
        self.mid_backlog += at in self._waited
        most = await self._plan(at, first=not found)
        upstream, up = await asyncio.open_connection("127.0.0.1", self._port)
        try:
            up.write(request)
            if await self._forward(upstream, writer, most):
                self.cuts += 1
                if self._dice.random() < 0.5:
                    writer.transport.abort()  # a reset: what the reader has not read yet is lost to it, too
        finally:
            await close(up)

    async def _plan(self, at: int, *, first: bool) -> float:
        """After how many messages to cut; never near the end.

        The first connection is never held: whoever publishes may wait until all readers are there.
        """
        self._waited = range(0)
        if at + 2 * BACKLOG > self._total:
            return float("inf")
        if self._dice.random() < 0.5 or first:
            return self._dice.randint(BACKLOG, 2 * BACKLOG)
        await auntil(lambda: self._head() >= at + BACKLOG, "a backlog", alarm=60)
        self._waited = range(at + 1, self._head())
        return self._dice.randint(2, BACKLOG // 2)

    async def _forward(self, upstream: asyncio.StreamReader, writer: asyncio.StreamWriter, most: float) -> bool:
        """Forward until either side ends, or until so many messages were sent and a part of one more: True."""
        data, sent, messages = b"", 0, 0
        while piece := await upstream.read(65_536):
            data += piece
            for found in _MESSAGE.finditer(data, sent):
                messages += 1
                self.passed = max(self.passed, int(found[1]))
                if messages > most:
                    writer.write(data[sent : found.end()])
                    await writer.drain()
                    return True
            # A message's beginning may still lack its number: what came after the last line's end waits.
            whole = data.rfind(b"\n") + 1
            writer.write(data[sent:whole])
            await writer.drain()
            data, sent = data[whole:], 0
        return False
