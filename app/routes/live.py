"""The response of a live stream: sse-starlette's, for headers, HEAD, disconnects and shutdown; its body is ours.

sse-starlette encodes and sends each event for each client, and pings from a task per stream. Here a feed writes the
same bytes to every stream from one place, so its work per delivery is left out, and the rest of it is used.
"""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import AsyncIterator, MutableMapping, Sequence
from contextlib import AsyncExitStack
from typing import Any

from sse_starlette import EventSourceResponse
from starlette.types import Send

from app import frames
from app.errors import Busy
from app.events import End
from app.feeds import Feeds
from app.policy import jittered
from app.reading import RETRY_UNAVAILABLE, Start, Terms
from app.stream import Stream

GRACE = 5.0
"""Seconds that streams get to say goodbye at shutdown."""

# A proxy that compresses holds back what it has until there is enough of it. Next.js does, for its rewrites.
_HEADERS = {"Cache-Control": "no-store, no-transform"}


class LiveResponse(EventSourceResponse):
    """Serves one stream. Writes how it ended into the request's scope, for the log."""

    def __init__(
        self, feeds: Feeds, channels: Sequence[str], begin: Start, terms: Terms, scope: MutableMapping[str, Any]
    ) -> None:
        super().__init__(_nothing(), headers=_HEADERS, ping=0)
        self._feeds = feeds
        self._channels = channels
        self._begin = begin
        self._terms = terms
        self._scope = scope
        self._stream: Stream | None = None

    async def _stream_response(self, send: Send) -> None:
        await send({"type": "http.response.start", "status": self.status_code, "headers": self.raw_headers})
        ended = "disconnect"
        async with AsyncExitStack() as stack:
            try:
                feeds = await stack.enter_async_context(self._feeds.open(self._channels))
            except Busy:
                await self._refuse(send)
                return
            self._stream = stream = Stream(feeds, self._begin, self._terms)
            try:
                ended = await stream.run(send)  # type: ignore[arg-type]
            finally:
                stream.abandon()
                self._scope["gapless.note"] = f"end={ended} messages={stream.messages}"
        self.active = False
        if ended is not End.SLOW:
            with contextlib.suppress(TimeoutError):
                async with asyncio.timeout(1.0):
                    await send({"type": "http.response.body", "body": b"", "more_body": False})

    async def _refuse(self, send: Send) -> None:
        """No room: a status would stop an EventSource for ever, an event does not."""
        self._scope["gapless.note"] = f"end={End.BUSY} messages=0"
        body = frames.end(End.BUSY, retry=jittered(RETRY_UNAVAILABLE, self._terms.dice))
        await send({"type": "http.response.body", "body": body, "more_body": False})
        self.active = False

    async def _listen_for_exit_signal_with_grace(self) -> None:
        """sse-starlette notices that the server is about to stop, under `gapless serve` and under bare uvicorn."""
        await self._listen_for_exit_signal()
        if self._stream is not None:
            self._stream.stop(End.SHUTDOWN)
        await asyncio.sleep(GRACE)


async def _nothing() -> AsyncIterator[bytes]:
    """sse-starlette wants a body to iterate; ours is written by the stream."""
    return
    yield b""
