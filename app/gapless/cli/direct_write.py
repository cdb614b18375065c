"""The ASGI extension `gapless.direct_write`: a part of a body that is written at once, past `send`.

`send` is a coroutine that goes through every middleware, and makes a chunk of HTTP of the part for each client anew. A
message that goes to a thousand streams is the same chunk a thousand times: it is made once, and written by one call.
The same extension tells by a call that the client is gone, where `receive` would take a task of each stream.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from weakref import ref

from uvicorn.protocols.http.httptools_impl import RequestResponseCycle

from gapless.cli.response import Joining

EXTENSION = "gapless.direct_write"


def offer(cycle: RequestResponseCycle) -> DirectWrite | None:
    """Put the extension into the scope of a GET by HTTP/1.1 without a body.

    A body that nobody reads stops all reading from the connection once there is much of it, and with it the news that
    the client is gone; `receive` goes on with it.
    """
    scope = cycle.scope
    if scope["method"] != "GET" or scope["http_version"] == "1.0" or any(name in _BODY for name, _ in scope["headers"]):
        return None
    direct = DirectWrite(cycle)
    scope["extensions"] = {EXTENSION: {"write": direct, "on_disconnect": direct.on_disconnect}}
    return direct


_BODY = (b"content-length", b"transfer-encoding")


class DirectWrite:
    """Writes to the client of one response, by HTTP/1.1 in chunks; `gone` is to be called when the client is."""

    __slots__ = ("_cycle", "_flow", "_leave", "_transport")

    def __init__(self, cycle: RequestResponseCycle) -> None:
        # Its scope holds this. By a strong reference each request would leave a ring to the collector of garbage.
        self._cycle = ref(cycle)
        self._flow = cycle.flow
        self._transport: asyncio.Transport | None = None
        """Of a response whose head is written: then nothing of the cycle need be asked."""
        self._leave: Callable[[], None] | None = None

    def on_disconnect(self, leave: Callable[[], None]) -> None:
        """Have `leave` called once, when the client is gone; at once if it is."""
        self._leave = leave
        cycle = self._cycle()
        if cycle is None or cycle.disconnected:
            self.gone()

    def gone(self) -> None:
        self.end()
        leave, self._leave = self._leave, None
        if leave is not None:
            leave()

    def end(self) -> None:
        """The response is complete, or will never be."""
        self._transport = None

    def __call__(self, part: bytes) -> bool:
        """Write this part of the body, which is not empty, now. False, and nothing is written, where `send` has to."""
        transport = self._transport or self._begin()
        if transport is None or self._flow.write_paused:
            return False
        if _newest.part is not part:
            _newest.make(part)
        transport.write(_newest.chunk)
        return True

    def _begin(self) -> asyncio.Transport | None:
        """Where to write; kept from the response's second write on."""
        cycle = self._cycle()
        if cycle is None or cycle.disconnected or cycle.response_complete or not cycle.chunked_encoding:
            return None
        if not isinstance(cycle.transport, Joining):
            self._transport = cycle.transport
        return cycle.transport


class _Newest:
    """The last part that was written, and its chunk: the next stream is likely to write the same one."""

    __slots__ = ("chunk", "part")

    def __init__(self) -> None:
        self.part = self.chunk = b""

    def make(self, part: bytes) -> None:
        self.part, self.chunk = part, b"%x\r\n%b\r\n" % (len(part), part)


_newest = _Newest()
