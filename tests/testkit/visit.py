"""A visit: one connection to a stream, whose every event the test takes by itself. To leave is to cut it."""

from __future__ import annotations

import asyncio
import json
from contextlib import asynccontextmanager
from typing import TYPE_CHECKING, Any, NamedTuple

import httpx

from tests.testkit.alarm import Alarm
from tests.testkit.event_stream import EventStreamParser

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Callable


class Said(NamedTuple):
    """One event: its name, what its data say, and the id of its own block, None where that has none."""

    event: str
    data: dict[str, Any]
    id: str | None


class Visit:
    """What comes on one connection. Made by `visit`."""

    def __init__(self, response: httpx.Response) -> None:
        self.response = response
        self.comments = 0
        self.last_event_id = ""
        """Of the events that were taken: what a client that had seen just these would come back with."""
        self.retry: int | None = None
        self.closed = False
        self.whole = False
        """The service has ended the response as HTTP says that it is ended."""
        self._waiting: list[tuple[Said, str]] = []
        self._changed = asyncio.Event()

    async def next(self, event: str | None = None, *, alarm: float = 10.0) -> Said:
        """The next event; AssertionError if it is not named `event`, Alarm if none comes within `alarm` seconds."""
        await self._until(lambda: self._waiting or self.closed, "an event", alarm)
        if not self._waiting:
            raise Alarm(f"the stream ended after {self.last_event_id!r}")
        said, self.last_event_id = self._waiting.pop(0)
        assert event is None or said.event == event, f"{said} is no {event}"
        return said

    async def messages(self, count: int, *, alarm: float = 10.0) -> list[Any]:
        """The data of the next `count` events, all of which are plain messages."""
        return [(await self.next("message", alarm=alarm)).data["data"] for _ in range(count)]

    async def heartbeats(self, count: int, *, alarm: float = 10.0) -> None:
        """Wait until so many comments more have come."""
        wanted = self.comments + count
        await self._until(lambda: self.comments >= wanted, f"{count} heartbeats", alarm)

    async def rest(self, *, alarm: float = 10.0) -> list[Said]:
        """All that comes until the service closes the stream."""
        await self._until(lambda: self.closed, "the end of the stream", alarm)
        said, self._waiting = [said for said, _ in self._waiting], []
        return said

    async def _until(self, true: Callable[[], object], what: str, alarm: float) -> None:
        try:
            async with asyncio.timeout(alarm):
                while not true():
                    self._changed.clear()
                    await self._changed.wait()
        except TimeoutError:
            raise Alarm(f"not within {alarm:g} s: {what}, after {self.last_event_id!r}") from None

    async def read(self) -> None:
        """Take in all that comes, until the connection ends in whatever way."""
        parser = EventStreamParser()
        try:
            async for piece in self.response.aiter_bytes():
                for event in parser.feed(piece):
                    said = Said(event.type, json.loads(event.data), event.last_event_id if event.has_id else None)
                    self._waiting.append((said, event.last_event_id))
                self.comments, self.retry = parser.comments, parser.retry
                self._changed.set()
            self.whole = True
        except httpx.TransportError:
            pass
        finally:
            self.closed = True
            self._changed.set()


@asynccontextmanager
async def visit(
    url: str, last_event_id: str | bytes | None = None, *, client: httpx.AsyncClient | None = None
) -> AsyncIterator[Visit]:
    """Open the stream at `url`. AssertionError where it is answered with anything but a stream."""
    sent = last_event_id.encode() if isinstance(last_event_id, str) else last_event_id
    headers = {} if sent is None else {b"Last-Event-ID": sent}
    async with _client_or_own(client) as used, used.stream("GET", url, headers=headers, timeout=30) as response:
        assert response.status_code == 200, (response.status_code, await response.aread())
        assert response.headers["content-type"].startswith("text/event-stream")
        visited = Visit(response)
        reading = asyncio.create_task(visited.read())
        try:
            yield visited
        finally:
            reading.cancel()
            await asyncio.wait([reading])
            if not reading.cancelled():
                reading.result()


@asynccontextmanager
async def _client_or_own(client: httpx.AsyncClient | None) -> AsyncIterator[httpx.AsyncClient]:
    if client is not None:
        yield client
        return
    async with httpx.AsyncClient(trust_env=False) as own:
        yield own
