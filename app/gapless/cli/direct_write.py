"""The ASGI extension `gapless.direct_write`: a part of a body that is written at once, past `send`.

`send` is a coroutine that goes through every middleware, and makes a chunk of HTTP of the part for each client anew. A
message that goes to a thousand streams is the same chunk a thousand times: it is made once, and written by one call.
"""

from __future__ import annotations

from uvicorn.protocols.http.httptools_impl import RequestResponseCycle

EXTENSION = "gapless.direct_write"


class DirectWrite:
    """Writes to the client of one response, by HTTP/1.1 in chunks."""

    __slots__ = ("_cycle",)

    def __init__(self, cycle: RequestResponseCycle) -> None:
        self._cycle = cycle

    def __call__(self, part: bytes) -> bool:
        """Write this part of the body, which is not empty, now. False, and nothing is written, where `send` has to."""
        cycle = self._cycle
        if cycle.flow.write_paused or cycle.disconnected or cycle.response_complete or not cycle.chunked_encoding:
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
