"""How the response to one request leaves, where uvicorn's own way is dear or wrong."""

from __future__ import annotations

import asyncio
from typing import Any
from weakref import ref

from uvicorn.protocols.http.httptools_impl import RequestResponseCycle


def join_head(cycle: RequestResponseCycle) -> None:
    """Have a head leave with the first part of its body, in one write instead of two.

    ASGI says that a server waits for the body; uvicorn writes the head as soon as the app sends it. A stream's body may
    be long in coming: its head waits until the loop's next turn, and no longer.
    """
    cycle.transport = Joining(cycle)  # type: ignore[assignment]


class Joining:
    """The transport of a response until its head is written: what uvicorn asks of one."""

    def __init__(self, cycle: RequestResponseCycle) -> None:
        self._cycle = ref(cycle)  # by a strong reference each request would leave a ring to the collector of garbage
        self._transport = cycle.transport
        self._head = b""

    def write(self, data: bytes) -> None:
        """Keep a head that is followed by a body. All else is written, after the head that was kept."""
        cycle: Any = self._cycle()
        if not cycle.response_started:  # it is `100 Continue`
            self._transport.write(data)
        elif self._head or not _is_followed(cycle):
            self._pass(self._head + data)
        else:
            self._head = data
            if cycle.chunked_encoding:
                asyncio.get_running_loop().call_soon(self._flush)

    def close(self) -> None:
        """The app has failed before its body."""
        self._flush()
        self._transport.close()

    def _flush(self) -> None:
        if self._head and not self._transport.is_closing():
            self._pass(self._head)

    def _pass(self, data: bytes) -> None:
        """Write it. What comes next does not pass here."""
        self._head = b""
        if (cycle := self._cycle()) is not None:
            cycle.transport = self._transport
        self._transport.write(data)

    def is_closing(self) -> bool:
        return self._transport.is_closing()


def _is_followed(cycle: RequestResponseCycle) -> bool:
    """Whether a body has to follow the head that is being written."""
    return bool(cycle.chunked_encoding or cycle.expected_content_length) and cycle.scope["method"] != "HEAD"


def undivided(cycle: RequestResponseCycle, app: Any) -> Any:
    """HTTP/1.0 knows no chunks: where no length is given, the connection's end is the body's."""
    cycle.chunked_encoding = False

    async def serve(scope: Any, receive: Any, send: Any) -> None:
        async def send_plain(message: Any) -> None:
            if message["type"] == "http.response.body":
                cycle.expected_content_length = len(message.get("body", b""))
            await send(message)

        await app(scope, receive, send_plain)

    return serve
