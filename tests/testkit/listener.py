"""A small TCP server of a test's own, none of whose connections outlives it."""

from __future__ import annotations

import asyncio
from contextlib import suppress
from typing import TYPE_CHECKING, Self

if TYPE_CHECKING:
    import ssl
    from collections.abc import Awaitable, Callable

    Answer = Callable[[asyncio.StreamReader, asyncio.StreamWriter], Awaitable[None]]


class Listener:
    """Answers each connection on loopback by `answer`, then closes it.

    A client that leaves or breaks off ends `answer` quietly; any other exception fails the test.
    """

    def __init__(
        self, answer: Answer, *, host: str = "127.0.0.1", port: int = 0, tls: ssl.SSLContext | None = None
    ) -> None:
        self.host = host
        self.port = port
        self._answer = answer
        self._tls = tls
        self._server: asyncio.Server | None = None
        self._open: dict[asyncio.Task[None], asyncio.StreamWriter] = {}

    async def __aenter__(self) -> Self:
        self._server = await asyncio.start_server(self._accept, self.host, self.port, ssl=self._tls)
        self.port = self._server.sockets[0].getsockname()[1]
        return self

    async def __aexit__(self, *_: object) -> None:
        """Stop listening and cut what is open."""
        assert self._server is not None
        self._server.close()
        await self.cut_all()

    async def cut_all(self) -> int:
        """Cut every connection that is open, unsent bytes and all; how many there were."""
        cut = dict(self._open)
        for task, writer in cut.items():
            writer.transport.abort()
            task.cancel()
        await asyncio.gather(*cut, return_exceptions=True)
        return len(cut)

    def _accept(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        task = asyncio.ensure_future(self._serve(reader, writer))
        self._open[task] = writer
        task.add_done_callback(self._open.pop)

    async def _serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        try:
            await self._answer(reader, writer)
        except (OSError, asyncio.IncompleteReadError):
            pass
        except Exception as error:
            asyncio.get_running_loop().call_exception_handler({"message": "in a Listener", "exception": error})
        finally:
            await close(writer)


async def close(writer: asyncio.StreamWriter) -> None:
    """Flush and close; a peer that takes neither is cut off after a second."""
    writer.close()
    with suppress(OSError, TimeoutError):
        async with asyncio.timeout(1):
            await writer.wait_closed()
            return
    writer.transport.abort()
