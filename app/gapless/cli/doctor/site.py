"""The deployment under examination, and how the checks ask it."""

from __future__ import annotations

import asyncio
import json
from collections.abc import AsyncIterator, Callable, Mapping
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from typing import Any

import httpx

from gapless.cli.doctor.blocks import COMMENT, Blocks
from gapless.cli.following import Event
from gapless.cli.remote import explain, unreachable


@dataclass(frozen=True, slots=True)
class Reply:
    """`status` 0: there was none, and `said` says why. `body`: its JSON, None where it is none.

    `seconds`: what it took. `at`: the middle of that, in Unix seconds of this machine.
    """

    status: int
    said: str
    seconds: float = 0.0
    body: Any = None
    headers: Mapping[str, str] = field(default_factory=dict)
    at: float = 0.0

    def member(self, name: str) -> Any:
        """Of the body, where that is an object."""
        return self.body.get(name) if isinstance(self.body, dict) else None


@dataclass(frozen=True, slots=True)
class Site:
    """`channel`: the doctor's own. `quiet`: another one, on which nothing is ever published. `origin`: of a web page.

    `watch`: seconds for which a stream is watched; `within`: in which what is sent at once must come. `now`: Unix
    seconds by the clock of this machine.
    """

    http: httpx.AsyncClient
    channel: str
    quiet: str
    claims: Mapping[str, Any] | None
    origin: str | None
    watch: float
    now: Callable[[], float]
    within: float = 6.0

    async def ask(self, method: str, path: str, **more: Any) -> Reply:
        """A request and its whole reply; never raises."""
        loop, at = asyncio.get_running_loop(), self.now()
        began = loop.time()
        try:
            reply = await self.http.request(method, path, **more)
        except httpx.HTTPError as error:
            return Reply(0, unreachable(error))
        took = loop.time() - began
        try:
            body = reply.json()
        except ValueError:
            body = None
        return Reply(reply.status_code, explain(reply), took, body, reply.headers, at + took / 2)

    async def post(self, data: Any, local_id: str | None) -> Reply:
        """Publish on the own channel."""
        body = {"data": data} if local_id is None else {"data": data, "localId": local_id}
        return await self.ask("POST", f"/channels/{self.channel}/messages", json=body)

    @asynccontextmanager
    async def stream(
        self, channel: str, cursor: str = "", *, buffered: bool = False, encodings: str = "identity"
    ) -> AsyncIterator[tuple[httpx.Response, AsyncIterator[Event]]]:
        """A stream, and what comes on it, comments too. Raises httpx.HTTPError where it breaks."""
        headers = {"Accept": "text/event-stream", "Accept-Encoding": encodings}
        if cursor:
            headers["Last-Event-ID"] = cursor
        query = {"mode": "buffered"} if buffered else None
        # Silence is what the checks measure: they have their own time limits.
        timeout = httpx.Timeout(10.0, read=None)
        path = f"/channels/{channel}/stream"
        async with self.http.stream("GET", path, headers=headers, params=query, timeout=timeout) as reply:
            yield reply, _events(reply)


async def _events(reply: httpx.Response) -> AsyncIterator[Event]:
    blocks = Blocks()
    async for line in reply.aiter_lines():
        event = blocks.feed(line)
        if event is not None:
            _must_be_ours(event)
            yield event


def _must_be_ours(event: Event) -> None:
    """Something on the way may have changed it."""
    try:
        if event is not COMMENT:
            event.read()
    except ValueError as error:
        raise httpx.RemoteProtocolError(f"an event {event.kind!r} is none of Gapless: {error}") from None


def number_of(event: Event) -> int | None:
    """The number that a message of the doctor's holds; None for any other event."""
    try:
        return int(event.read()["data"]["doctor"])
    except (ValueError, TypeError, LookupError):
        return None


def reason_of(event: Event) -> str:
    """Why a stream ended."""
    try:
        return str(event.read()["reason"])
    except (json.JSONDecodeError, TypeError, LookupError):
        return "no reason"
