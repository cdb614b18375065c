"""One HTTP request and the ways to answer it, or not to."""

from __future__ import annotations

from typing import TYPE_CHECKING

from starlette.requests import Request

if TYPE_CHECKING:
    from collections.abc import Callable

    from starlette.responses import Response
    from starlette.types import Receive, Scope, Send

    from tests.testkit.upstash.faults import How


class Exchange:
    """A request with its connection."""

    def __init__(
        self, scope: Scope, receive: Receive, send: Send, end_connection: Callable[[Scope, How], None]
    ) -> None:
        self.request = Request(scope, receive)
        self._scope, self._receive, self._send = scope, receive, send
        self._end_connection = end_connection

    async def answer(self, response: Response) -> None:
        """Send a whole response."""
        await response(self._scope, self._receive, self._send)

    async def gone(self) -> None:
        """Return when the client has left; its request must have been read, or have no body."""
        while (await self._receive())["type"] != "http.disconnect":
            pass

    async def vanish(self, how: How) -> None:
        """End the connection without another byte."""
        self._end_connection(self._scope, how)
        await self.gone()

    async def start_events(self) -> None:
        """Begin an event stream."""
        headers = [(b"content-type", b"text/event-stream"), (b"cache-control", b"no-cache")]
        await self._send({"type": "http.response.start", "status": 200, "headers": headers})

    async def send_event(self, block: bytes) -> None:
        """Send one block of an event stream."""
        await self._send({"type": "http.response.body", "body": block, "more_body": True})

    async def end_events(self, how: How) -> None:
        """End an event stream in order (`close`) or by a reset."""
        if how == "reset":
            await self.vanish(how)
        else:
            await self._send({"type": "http.response.body", "body": b"", "more_body": False})
