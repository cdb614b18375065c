"""HTTP/1.1 to this machine at a tenth of a full client's price, for readers by the dozen: a transport for httpx.

Bodies by length or in chunks, of which all that has come is handed on at once. Errors are
those of httpx's own transport: what is cut off in mid-body is a RemoteProtocolError, not an end.
"""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING

import httpx

if TYPE_CHECKING:
    from collections.abc import AsyncIterator

_PIECE = 1 << 18


Connection = tuple[asyncio.StreamReader, asyncio.StreamWriter]


class Wire(httpx.AsyncBaseTransport):
    """For `httpx.AsyncClient(transport=Wire())`. No TLS, no proxy; only what is awaited before a body has a limit."""

    def __init__(self) -> None:
        self._idle: dict[tuple[str, int], list[Connection]] = {}

    async def handle_async_request(self, request: httpx.Request) -> httpx.Response:
        """See httpx. The head of the answer must come within the request's read timeout, if it has one."""
        limit = request.extensions.get("timeout", {}).get("read")
        connection = await self._connect(request.url, limit)
        reader, writer = connection
        try:
            async with asyncio.timeout(limit):
                writer.write(_head(request) + await request.aread())
                line, *fields = (await reader.readuntil(b"\r\n\r\n"))[:-4].split(b"\r\n")
        except BaseException as error:
            writer.transport.abort()
            if isinstance(error, TimeoutError):
                raise httpx.ReadTimeout(f"no answer within {limit} s") from None
            if isinstance(error, (OSError, EOFError)):
                raise httpx.ReadError(str(error)) from None
            raise
        headers = [(name.lower(), value.strip()) for name, _, value in (field.partition(b":") for field in fields)]
        body = _Body(connection, dict(headers), self._idle.setdefault((request.url.host, request.url.port or 80), []))
        return httpx.Response(int(line.split()[1]), headers=headers, stream=body)

    async def _connect(self, url: httpx.URL, limit: float | None) -> Connection:
        idle = self._idle.get((url.host, url.port or 80), [])
        while idle:
            reader, writer = idle.pop()
            if not (reader.at_eof() or reader.exception()):
                return reader, writer
            writer.transport.abort()
        try:
            async with asyncio.timeout(limit):
                return await asyncio.open_connection(url.host, url.port or 80)
        except (OSError, TimeoutError) as error:
            raise httpx.ConnectError(str(error)) from None

    async def aclose(self) -> None:
        """Close what is kept."""
        for idle in self._idle.values():
            for _, writer in idle:
                writer.transport.abort()


def _head(request: httpx.Request) -> bytes:
    fields = b"".join(b"%s: %s\r\n" % field for field in request.headers.raw)
    return b"%s %s HTTP/1.1\r\n%s\r\n" % (request.method.encode(), request.url.raw_path, fields)


class _Body(httpx.AsyncByteStream):
    """The connection goes back to the others after a body that came whole; else it is cut."""

    def __init__(self, connection: Connection, headers: dict[bytes, bytes], idle: list[Connection]) -> None:
        self._connection, self._idle = connection, idle
        self._chunked = headers.get(b"transfer-encoding") == b"chunked"
        self._length = int(headers.get(b"content-length", 0))
        self._whole = False

    async def __aiter__(self) -> AsyncIterator[bytes]:
        reader, chunks = self._connection[0], _Chunks()
        try:
            if not self._chunked:
                yield await reader.readexactly(self._length)
            while self._chunked and not chunks.ended:
                if not (piece := await reader.read(_PIECE)):
                    raise EOFError
                if body := chunks.feed(piece):
                    yield body
            self._whole = True
        except (OSError, EOFError) as error:
            raise httpx.RemoteProtocolError(f"cut off in mid-body: {error}") from None

    async def aclose(self) -> None:
        """See the class."""
        if self._whole:
            self._idle.append(self._connection)
        else:
            self._connection[1].transport.abort()


class _Chunks:
    """Takes the body out of what comes, in pieces of any size, chunk by whole chunk."""

    def __init__(self) -> None:
        self.ended = False
        self._rest = b""

    def feed(self, piece: bytes) -> bytes:
        """What this piece adds to the body."""
        data, at, body = self._rest + piece, 0, []
        while not self.ended:
            end = data.find(b"\r\n", at)
            if end < 0:
                break
            size = int(data[at:end].partition(b";")[0], 16)
            if len(data) < end + 2 + size + 2:
                break
            body.append(data[end + 2 : end + 2 + size])
            at, self.ended = end + 2 + size + 2, size == 0
        self._rest = data[at:]
        return b"".join(body)
