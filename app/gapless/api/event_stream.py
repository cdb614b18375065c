"""The response of a live stream. Headers and HEAD are sse-starlette's; the body is written here.

sse-starlette encodes and sends each event for each client, and starts several tasks per stream: one pings, one listens,
one waits. Here a feed writes the same bytes to every stream from one place, and one timer for the whole process sees
that the server stops.
"""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import AsyncIterator, MutableMapping, Sequence
from contextlib import AsyncExitStack
from typing import Any

from sse_starlette import EventSourceResponse
from starlette.types import Receive, Scope, Send

from gapless.channels.feeds import Feeds, Visitor
from gapless.delivery import sse
from gapless.delivery.end import End
from gapless.delivery.retry import RETRY_UNAVAILABLE, jittered
from gapless.delivery.session import Start, StreamLimits
from gapless.delivery.streaming import DirectWrite, Stream
from gapless.log.errors import Busy
from gapless.platforms.shutdown import ClientGone, ShutdownWatch, cancel_on_disconnect

# A proxy that compresses holds back what it has until there is enough of it. Next.js does, for its rewrites.
_HEADERS = {"Cache-Control": "no-store, no-transform"}


class LiveResponse(EventSourceResponse):
    """Serves one stream. Writes how it ended into the request's scope, for the log."""

    def __init__(
        self,
        feeds: Feeds,
        shutdown: ShutdownWatch,
        visitor: Visitor | None,
        channels: Sequence[str],
        begin: Start,
        limits: StreamLimits,
        scope: MutableMapping[str, Any],
    ) -> None:
        super().__init__(_nothing(), headers=_HEADERS, ping=0)
        del self.headers["Connection"]  # HTTP/1.1 keeps it anyway, HTTP/2 forbids the header, HTTP/1.0 ends by closing
        self._feeds = feeds
        self._shutdown = shutdown
        self._visitor = visitor
        self._channels = channels
        self._begin = begin
        self._limits = limits
        self._scope = scope

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Answer, and stay until the stream ends or its client leaves."""
        if scope["method"] == "HEAD":
            await super().__call__(scope, receive, send)
            return
        await send({"type": "http.response.start", "status": self.status_code, "headers": self.raw_headers})
        try:
            async with cancel_on_disconnect(receive):
                ended = await self._serve(send)
        except (ClientGone, OSError):  # servers say it in one way or the other
            return
        if ended is not End.SLOW:
            with contextlib.suppress(TimeoutError, OSError):
                async with asyncio.timeout(1.0):
                    await send({"type": "http.response.body", "body": b"", "more_body": False})

    async def _serve(self, send: Send) -> End:
        async with AsyncExitStack() as stack:
            try:
                feeds = await stack.enter_async_context(self._feeds.open(self._channels, self._visitor))
            except Busy:
                return await self._refuse(send)
            stream = Stream(feeds, self._begin, self._limits)
            stack.enter_context(
                self._shutdown.on_shutdown(lambda: stream.stop(End.SHUTDOWN), self._scope.get("server"))
            )
            return await self._run(stream, send)

    async def _run(self, stream: Stream, send: Send) -> End:
        ended = "disconnect"
        try:
            ended = await stream.run(send, _direct_write(self._scope))  # type: ignore[arg-type]
        finally:
            stream.abandon()
            self._scope["gapless.note"] = f"end={ended} messages={stream.messages}"
        return End(ended)

    async def _refuse(self, send: Send) -> End:
        """Say that there is no room, in an event: a status would stop an EventSource for ever."""
        self._scope["gapless.note"] = f"end={End.BUSY} messages=0"
        body = sse.end(End.BUSY, retry=jittered(RETRY_UNAVAILABLE, self._limits.random))
        await send({"type": "http.response.body", "body": body, "more_body": True})
        return End.BUSY


def _direct_write(scope: MutableMapping[str, Any]) -> DirectWrite | None:
    """What a server offers that writes to its client at once: see `DirectWrite` and docs/decisions."""
    found: DirectWrite | None = (scope.get("extensions") or {}).get("gapless.direct_write", {}).get("write")
    return found


async def _nothing() -> AsyncIterator[bytes]:
    """sse-starlette wants a body to iterate; ours is written by the stream."""
    return
    yield b""
