"""The ASGI extension `gapless.direct_write`: a part of a body that is written at once, past `send`.

`send` is a coroutine that goes through every middleware, and makes a chunk of HTTP of the part for each client anew. A
message that goes to a thousand streams is the same chunk a thousand times: it is made once, and written by one call.
The same extension tells by a call that the client is gone, where `receive` would take a task of each stream.
"""

from __future__ import annotations

from collections.abc import Callable
from weakref import ref

from uvicorn.protocols.http.httptools_impl import RequestResponseCycle

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

    __slots__ = ("_cycle", "_leave")

    def __init__(self, cycle: RequestResponseCycle) -> None:
        # Its scope holds this. By a strong reference each request would leave a ring to the collector of garbage.
        self._cycle = ref(cycle)
        self._leave: Callable[[], None] | None = None

    def on_disconnect(self, leave: Callable[[], None]) -> None:
        """Have `leave` called once, when the client is gone; at once if it is."""
        self._leave = leave
        cycle = self._cycle()
        if cycle is None or cycle.disconnected:
            self.gone()

    def gone(self) -> None:
        leave, self._leave = self._leave, None
        if leave is not None:
            leave()

    def __call__(self, part: bytes) -> bool:
        """Write this part of the body, which is not empty, now. False, and nothing is written, where `send` has to."""
        cycle = self._cycle()
        if cycle is None or cycle.disconnected or cycle.response_complete:
            return False
        if cycle.flow.write_paused or not cycle.chunked_encoding:
            return False
        cycle.transport.write(_Newest.chunk_of(part))
        return True


class _Newest:
    """The last part that was written, and its chunk: the next stream is likely to write the same one."""

    part = b""
    chunk = b""

    @classmethod
    def chunk_of(cls, part: bytes) -> bytes:
        if cls.part is not part:
            cls.part, cls.chunk = part, b"%x\r\n%b\r\n" % (len(part), part)
        return cls.chunk
