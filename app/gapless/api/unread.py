"""Deals with a request's body that is not read when its answer begins.

The rest of such a body (a refused POST, a GET with a body) must not keep the connection open, and must not be taken for
the next request. Some servers keep the connection open for as long as the client goes on sending. So the rest is read
for a moment, which is enough for an honest client. A client that takes longer, or sends more, is told `Connection:
close`, which every server obeys.
"""

from __future__ import annotations

import asyncio
import contextlib

from starlette.types import ASGIApp, Message, Receive, Scope, Send

from gapless.api.problems import problem

REST_SECONDS = 1.0
"""For the rest of a body to arrive before its answer."""

REST_BYTES = 1_048_576
"""Of a rest that is read and dropped: closed upon, many systems lose the answer before their programs have read it."""

_CLOSE = (b"connection", b"close")


class Unread:
    """Leaves no connection out of step. HTTP/2 has streams for that, and forbids the header."""

    def __init__(self, app: ASGIApp) -> None:
        self._app = app

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Serve. Only requests with a body, or which offer another protocol, are any trouble."""
        if scope["type"] != "http":
            await self._app(scope, receive, send)
            return
        named = {name for name, value in scope["headers"] if value != b"0"}
        has_body = not named.isdisjoint((b"content-length", b"transfer-encoding"))
        offers = b"upgrade" in named or scope["method"] == "CONNECT"
        if not has_body and not offers:
            await self._app(scope, receive, send)
            return
        honest = scope["method"] not in ("GET", "HEAD") and b"expect" not in named
        body = _Body(receive, patient=honest and has_body)
        closable = scope["http_version"].startswith("1")

        async def send_or_close(message: Message) -> None:
            if message["type"] == "http.response.start" and (not await body.is_read() or offers) and closable:
                message = {**message, "headers": [*message.get("headers", ()), _CLOSE]}
            await send(message)

        lost = offers and has_body and await body.is_lost()
        await (_explain if lost else self._app)(scope, body.receive, send_or_close)


async def _explain(scope: Scope, receive: Receive, send: Send) -> None:
    """uvicorn with httptools drops the body of a request that offers an upgrade, and takes it for another request."""
    detail = (
        "This server has dropped the body, because the request offers another protocol. Send it without the header "
        "Upgrade (Java's HttpClient: version(HTTP_1_1)), or start the service with `gapless serve`."
    )
    await problem(400, "Bad request", detail)(scope, receive, send)


class _Body:
    """A request's body, and how much of it the app has left. `patient`: the rest is worth a moment."""

    def __init__(self, receive: Receive, *, patient: bool) -> None:
        self._receive = receive
        self._patient = patient
        self._kept: list[Message] = []
        self._ended = False

    async def receive(self) -> Message:
        """The next piece."""
        if self._kept:
            return self._kept.pop()
        try:
            message = await self._receive()
        except asyncio.CancelledError:  # its caller has waited enough
            self._patient = False
            raise
        self._ended = not message.get("more_body", False)
        return message

    async def _drop(self) -> None:
        left = REST_BYTES
        while not self._ended and left > 0:
            left -= len((await self.receive()).get("body", b""))

    async def is_lost(self) -> bool:
        """Whether it is empty, against what the request says of it."""
        with contextlib.suppress(TimeoutError):
            async with asyncio.timeout(REST_SECONDS):
                self._kept.append(await self.receive())
        return self._ended and self._kept[0]["type"] == "http.request" and not self._kept[0]["body"]

    async def is_read(self) -> bool:
        """Whether it has all come, after a moment for what has not."""
        if self._patient and not self._ended:
            with contextlib.suppress(TimeoutError):
                async with asyncio.timeout(REST_SECONDS):
                    await self._drop()
        return self._ended
