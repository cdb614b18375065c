"""The response of a live stream. Headers are sse-starlette's; the body is written here.

sse-starlette encodes and sends each event for each client, and starts several tasks per stream: one pings, one listens,
one waits. Here a feed writes the same bytes to every stream from one place, and one timer for the whole process sees
that the server stops.

A route answers with the head alone and returns. The body is written from outside of it (`AccessLog`), so that nothing
that FastAPI keeps for a request is kept for as long as a stream is open.
"""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import AsyncIterator, MutableMapping, Sequence
from functools import cache, partial
from typing import Any

from sse_starlette import EventSourceResponse
from starlette.responses import Response
from starlette.types import Receive, Scope, Send

from gapless.api.sized import sized_send, sized_write
from gapless.channels.feeds import Feeds, Visitor
from gapless.delivery import sse
from gapless.delivery.end import End
from gapless.delivery.retry import RETRY_UNAVAILABLE, jittered
from gapless.delivery.session import Extras, Start, StreamLimits
from gapless.delivery.streaming import DirectWrite, Stream
from gapless.log.errors import Busy
from gapless.platforms.shutdown import ClientGone, ShutdownWatch, cancel_on_disconnect
from gapless.runtime.counters import Counters

# A proxy that compresses holds back what it has until there is enough of it. Next.js does, for its rewrites.
_HEADERS = {"Cache-Control": "no-store, no-transform"}


class LiveResponse(Response):
    """Answers a request for a stream with its head, and leaves `body` in the scope for `AccessLog`."""

    def __init__(self, body: LiveBody) -> None:
        self.status_code, self.background, self.body = 200, None, b""  # instead of what would be made for each anew
        self.raw_headers = [*_head()]
        self._body = body

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["method"] == "HEAD":
            await super().__call__(scope, receive, send)
            return
        await send({"type": "http.response.start", "status": self.status_code, "headers": self.raw_headers})
        scope["gapless.body"] = self._body


@cache
def _head() -> list[tuple[bytes, bytes]]:
    """The headers of every stream: sse-starlette's, and ours."""
    made = EventSourceResponse(_nothing(), headers=_HEADERS, ping=0)
    del made.headers["Connection"]  # HTTP/1.1 keeps it anyway, HTTP/2 forbids the header, HTTP/1.0 ends by closing
    return made.raw_headers


class LiveBody:
    """One stream. Writes how it ended into the request's scope, for the log."""

    def __init__(
        self,
        feeds: Feeds,
        shutdown: ShutdownWatch,
        visitor: Visitor | None,
        channels: Sequence[str],
        begin: Start,
        limits: StreamLimits,
        extras: Extras,
    ) -> None:
        self._feeds = feeds
        self._shutdown = shutdown
        self._visitor = visitor
        self._channels = channels
        self._begin = begin
        self._limits = limits
        self._extras = extras

    async def __call__(self, scope: MutableMapping[str, Any], receive: Receive, send: Send) -> None:
        """Stay until the stream ends or its client leaves."""
        try:
            ended = await self._serve(scope, receive, send)
        except (ClientGone, OSError):  # servers say it in one way or the other
            return
        if ended is not End.SLOW:
            with contextlib.suppress(TimeoutError, OSError):
                async with asyncio.timeout(1.0):
                    await send({"type": "http.response.body", "body": b"", "more_body": False})

    async def _serve(self, scope: MutableMapping[str, Any], receive: Receive, send: Send) -> End:
        try:
            async with self._feeds.open(self._channels, self._visitor) as feeds:
                stream = Stream(feeds, self._begin, self._limits, self._extras)
                with self._shutdown.on_shutdown(partial(stream.stop, End.SHUTDOWN), scope.get("server")):
                    return await _run(stream, scope, receive, send, self._feeds.counters)
        except Busy:
            return await self._refuse(scope, send)

    async def _refuse(self, scope: MutableMapping[str, Any], send: Send) -> End:
        """Say that there is no room, in an event: a status would stop an EventSource for ever."""
        scope["gapless.note"] = f"end={End.BUSY} messages=0"
        self._feeds.counters.streams.refused[End.BUSY.value] += 1
        body = sse.end(End.BUSY, retry=jittered(RETRY_UNAVAILABLE, self._limits.random))
        await send({"type": "http.response.body", "body": body, "more_body": True})
        return End.BUSY


async def _run(
    stream: Stream, scope: MutableMapping[str, Any], receive: Receive, send: Send, counters: Counters
) -> End:
    """Under a server that offers `gapless.direct_write` (docs/decisions) no task waits for the client to leave."""
    offered = (scope.get("extensions") or {}).get("gapless.direct_write", {})
    write: DirectWrite | None = offered.get("write")
    if counters.measures:
        send, write = sized_send(send, counters), write and sized_write(write, counters)
    ended = "disconnect"
    counters.streams.begin(stream)
    try:
        if (on_disconnect := offered.get("on_disconnect")) is not None:
            on_disconnect(stream.leave)
            ended = await stream.run(send, write)  # type: ignore[arg-type]
        else:
            async with cancel_on_disconnect(receive):
                ended = await stream.run(send, write)  # type: ignore[arg-type]
    finally:
        stream.abandon()
        counters.streams.end(stream, str(ended))
        scope["gapless.note"] = f"end={ended} messages={stream.messages}"
    return End(ended)


async def _nothing() -> AsyncIterator[bytes]:
    """sse-starlette wants a body to iterate; ours is written by the stream."""
    return
    yield b""
