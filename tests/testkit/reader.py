"""A reader of streams that does what a browser's EventSource does, and writes down what it saw for the checker.

It comes back after `retry` milliseconds with the last event id, for ever; only an answer other than 200 or another
content type stops it. It never drops the query it began with. What a browser leaves to chance it draws from a seed:
which of many servers it calls, and when it breaks off by itself.
"""

from __future__ import annotations

import asyncio
from contextlib import aclosing
from dataclasses import dataclass
from random import Random
from time import monotonic
from typing import TYPE_CHECKING, Any, NamedTuple, Self, cast

import httpx

from tests.testkit.alarm import Alarm
from tests.testkit.asides import Known
from tests.testkit.event_stream import EventStreamParser
from tests.testkit.history import content_key
from tests.testkit.reader_notes import Notes

if TYPE_CHECKING:
    from collections.abc import AsyncGenerator, Callable, Hashable, Mapping, Sequence

    from tests.testkit.reader_log import ReaderLog

Span = float | tuple[float, float]


@dataclass(frozen=True, kw_only=True)
class Rotate:
    """When the reader breaks off by itself; for each a number, or a range to draw from anew on every connection.

    `bytes` counts those of the body, and mostly ends in mid-block. None: never.
    """

    seconds: Span | None = None
    messages: Span | None = None
    bytes: Span | None = None


class Connection(NamedTuple):
    """One attempt to read: where, since when (`time.monotonic`), and how many events its log had by then."""

    url: str
    begun: float
    events: int


class EventSourceReader(Notes):
    """Reads from `urls` (one drawn for each connection) into `log`, from `async with` on, until it is left.

    `log.start`, if any, goes out as Last-Event-ID from the first connection on, unless `send_start` is false.
    `retry_ms`: the wait before a reconnect until the service says another; `retry_scale` multiplies every wait.
    `silence`: seconds without a byte after which it reconnects, as a client with a watchdog would; None as a browser.
    `content`: from a message's `data` to what the checker compares. A given `client` is not closed here.
    """

    def __init__(
        self,
        log: ReaderLog,
        urls: str | Sequence[str],
        *,
        client: httpx.AsyncClient | None = None,
        headers: Mapping[str, str] | None = None,
        seed: int = 0,
        retry_ms: int = 3000,
        retry_scale: float = 1.0,
        rotate: Rotate | None = None,
        silence: float | None = None,
        send_start: bool = True,
        content: Callable[[Any], Hashable] = content_key,
    ) -> None:
        super().__init__(log, content)
        self.last_event_id = (log.start or "") if send_start else ""
        self.retry_ms = retry_ms
        self.connections: list[Connection] = []
        self.opened = 0
        """Connections that were answered with a stream."""
        self.failed = 0
        """Attempts that were not answered at all."""
        self.cuts = 0
        self.comments = 0
        self.stopped: str | None = None
        """Why it will never come back; None while it goes on."""
        self._urls = [urls] if isinstance(urls, str) else list(urls)
        self._client = client
        self._headers = dict(headers or {})
        self._dice = Random(seed)
        self._scale = retry_scale
        self._rotate = rotate or Rotate()
        self._silence = silence
        self._changed = asyncio.Event()
        self._limit: asyncio.Timeout | None = None
        self._task: asyncio.Task[None] | None = None

    @property
    def cursor(self) -> str:
        """Where it would go on; empty before its first answer."""
        return self.last_event_id

    async def __aenter__(self) -> Self:
        self._task = asyncio.create_task(self._run(), name=f"reader {self.log.name}")
        return self

    async def __aexit__(self, *_: object) -> None:
        """Leave. What the reader itself stumbled over is raised here, if nowhere before."""
        assert self._task is not None
        self._task.cancel()
        await asyncio.wait({self._task})
        if not self._task.cancelled():
            self._task.result()

    def cut(self) -> bool:
        """Break off now, as a lost network does; False where no stream is open."""
        if self._limit is None or self._limit.expired():
            return False
        self._limit.reschedule(asyncio.get_running_loop().time())
        return True

    async def until(self, check: Callable[[Self], object], what: str, *, alarm: float = 10.0) -> None:
        """Wait until `check(reader)` is true. Alarm after `alarm` seconds, and at once if the reader has ended."""
        try:
            async with asyncio.timeout(alarm):
                while not check(self):
                    self._changed.clear()
                    if self._task is None or self._task.done():
                        raise Alarm(f"{self.log.name} has ended ({self.stopped}) before: {what}")
                    await self._changed.wait()
        except TimeoutError:
            raise Alarm(f"{self.log.name}: not within {alarm:g} s: {what} (stands at {self.at})") from None

    async def until_messages(self, count: int, *, alarm: float = 10.0) -> None:
        """Wait until so many messages were seen."""
        await self.until(lambda reader: reader.messages >= count, f"{count} messages", alarm=alarm)

    async def until_at(self, heads: Mapping[str, str], *, alarm: float = 10.0) -> None:
        """Wait until the last message seen on each channel is the given id."""
        await self.until(lambda reader: heads.items() <= reader.at.items(), f"to be at {dict(heads)}", alarm=alarm)

    # Connections

    async def _run(self) -> None:
        client = self._client or httpx.AsyncClient(trust_env=False)
        try:
            while self.stopped is None:
                await self._connect(client)
                self._changed.set()
                if self.stopped is None:
                    await asyncio.sleep(self.retry_ms / 1000 * self._scale)
        finally:
            self._changed.set()
            if client is not self._client:
                await client.aclose()

    async def _connect(self, client: httpx.AsyncClient) -> None:
        """One connection, from the request to its end. Errors of the network end it, and nothing else does."""
        headers: dict[str, str | bytes] = {"Accept": "text/event-stream", "Cache-Control": "no-store", **self._headers}
        if self.last_event_id:
            headers["Last-Event-ID"] = self.last_event_id.encode()
        was_open, how, url = self.opened, "", self._dice.choice(self._urls)
        self.connections.append(Connection(url, monotonic(), len(self.log.events)))
        request = client.build_request(
            "GET",
            url,
            headers=headers,  # type: ignore[arg-type]  # names as str, one value as bytes
            timeout=httpx.Timeout(10.0, read=self._silence),
        )
        try:
            response = await client.send(request, stream=True, follow_redirects=True)
            try:
                how = await self._answered(response)
            finally:
                await response.aclose()
        except httpx.TransportError as error:
            how = type(error).__name__
        if self.opened == was_open:
            self.failed += self.stopped is None
        elif how:
            self.cuts += 1
            self.log.cut(how)

    async def _answered(self, response: httpx.Response) -> str:
        """Read the stream if it is one. Returns how it was cut, or nothing where it said `end` before."""
        kind = response.headers.get("content-type", "").split(";")[0].strip().lower()
        if response.status_code != 200 or kind != "text/event-stream":
            self.stopped = f"{response.status_code} {kind}".strip()
            self.log.end(f"stopped by {self.stopped}")
            return ""
        if self.opened:
            self.log.reconnected(self.last_event_id)
            self.around = Known()  # for the checker, too, it knows nothing from here on
        self.opened += 1
        self._changed.set()
        events = len(self.log.events)
        how = "no end"
        try:
            async with asyncio.timeout(self._draw(self._rotate.seconds)) as self._limit:
                how = await self._read(response)
        except TimeoutError:
            how = "broke off in time"
        except httpx.TransportError as error:
            how = type(error).__name__
        finally:
            self._limit = None
        said_end = any(type(event).__name__ == "End" for event in self.log.events[events:])
        return "" if said_end else how

    async def _read(self, response: httpx.Response) -> str:
        parser = EventStreamParser(self.last_event_id)
        left = self._draw(self._rotate.bytes)
        wanted = self._draw(self._rotate.messages)
        most = None if wanted is None else self.messages + max(1, round(wanted))
        try:
            async with aclosing(cast("AsyncGenerator[bytes]", response.aiter_bytes())) as pieces:
                async for piece in pieces:
                    taken = piece if left is None else piece[: max(0, round(left))]
                    for event in parser.feed(taken):
                        self.take(event)
                        self._changed.set()
                        if most is not None and self.messages >= most:
                            return "broke off after a message"
                    left = None if left is None else left - len(taken)
                    if left is not None and left < 1:
                        return "broke off after some bytes"
        finally:
            self.last_event_id = parser.last_event_id
            self.retry_ms = self.retry_ms if parser.retry is None else parser.retry
            self.comments += parser.comments
        return "no end"

    def _draw(self, span: Span | None) -> float | None:
        return self._dice.uniform(*span) if isinstance(span, tuple) else span
