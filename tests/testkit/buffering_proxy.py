"""A proxy that hands on no reply before its end, as some that companies and virus scanners have between."""

from __future__ import annotations

import asyncio
import re
from contextlib import asynccontextmanager, suppress
from typing import TYPE_CHECKING

from tests.testkit.listener import Listener

if TYPE_CHECKING:
    from collections.abc import AsyncIterator

_LENGTH = re.compile(rb"^content-length: *(\d+)", re.IGNORECASE | re.MULTILINE)
_CONNECTION = re.compile(rb"^connection:[^\r]*\r\n", re.IGNORECASE | re.MULTILINE)


@asynccontextmanager
async def buffering_proxy(port: int) -> AsyncIterator[str]:
    """The address of one before 127.0.0.1:`port`; HTTP/1.1, one request a connection."""

    async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        head = await reader.readuntil(b"\r\n\r\n")
        length = _LENGTH.search(head)
        body = await reader.readexactly(int(length[1])) if length else b""
        there, back = await asyncio.open_connection("127.0.0.1", port)
        back.write(_CONNECTION.sub(b"", head).replace(b"\r\n", b"\r\nConnection: close\r\n", 1) + body)
        reply = asyncio.ensure_future(there.read())
        gone = asyncio.ensure_future(reader.read(1))
        try:
            await asyncio.wait([reply, gone], return_when=asyncio.FIRST_COMPLETED)
            if reply.done():
                writer.write(reply.result())
        finally:
            back.close()
            for task in (reply, gone):
                task.cancel()
            with suppress(asyncio.CancelledError, ConnectionError):
                await asyncio.gather(reply, gone, return_exceptions=True)

    async with Listener(serve) as listener:
        yield f"http://127.0.0.1:{listener.port}"
