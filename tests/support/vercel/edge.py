"""Vercel's edge: it takes a request, picks an instance, says until when, and hangs up at that moment."""

from __future__ import annotations

import asyncio
import contextlib
import secrets
from collections import Counter
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING, Literal

from tests.support.vercel.http import BodyEnd, Head, reply

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable

    from tests.support.vercel.instance import Instance

# 4.5 MB, the largest body of a request that Vercel takes.
_LARGEST_BODY = 4_500_000

# An address that is nobody's (RFC 5737): what a function may see of a browser is never loopback.
CLIENT = "203.0.113.7"

# What only the edge may say, in either direction; and what holds for one connection only.
_HOP = ("connection", "keep-alive", "proxy-")
_FROM_EDGE = ("x-vercel-", "x-forwarded-", "x-real-ip", "forwarded")


@dataclass(frozen=True)
class Rules:
    """How this edge treats requests; `VercelFunction` explains each."""

    max_duration: float
    at_deadline: Literal["cut", "kill"]
    cancellation: bool
    deadline_told: bool


class Edge:
    """An HTTP/1.1 front on loopback. Every byte of an answer is passed on as it comes."""

    def __init__(self, pick: Callable[[], Awaitable[Instance | None]], rules: Rules) -> None:
        self.tally: Counter[str] = Counter()
        """`requests`; of these `refused` (too large), `failed` (no answer, or half of one), `cut` (at the
        deadline), `abandoned` (the client left first)."""
        self._pick, self._rules = pick, rules
        self._exchanges: set[asyncio.Task[None]] = set()
        self._server: asyncio.Server | None = None

    async def start(self) -> str:
        """Listen on a free port; the URL, without a final slash."""
        self._server = await asyncio.start_server(self._connected, "127.0.0.1", 0)
        return f"http://127.0.0.1:{self._server.sockets[0].getsockname()[1]}"

    async def close(self) -> None:
        """Stop listening and hang up on everyone."""
        if self._server is not None:
            self._server.close()
        for task in self._exchanges:
            task.cancel()
        await asyncio.gather(*self._exchanges, return_exceptions=True)

    def _connected(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        task = asyncio.create_task(self._converse(reader, writer))
        self._exchanges.add(task)
        task.add_done_callback(self._exchanges.discard)

    async def _converse(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        """One request; every answer closes its connection, so that no client mixes two instances."""
        try:
            with contextlib.suppress(asyncio.IncompleteReadError, ConnectionError):
                await self._serve(
                    await Head.read(reader), Exchange(reader, writer, self.tally, self._rules.cancellation)
                )
        finally:
            writer.close()
            with contextlib.suppress(ConnectionError):
                await writer.wait_closed()

    async def _serve(self, request: Head, exchange: Exchange) -> None:
        self.tally["requests"] += 1
        if (length := int(request.get("content-length") or 0)) > _LARGEST_BODY:
            self.tally["refused"] += 1
            await exchange.ignore(length)
            await exchange.tell("413 Content Too Large", "FUNCTION_PAYLOAD_TOO_LARGE")
            return
        instance = await self._pick()
        if instance is None or instance.port is None:
            self.tally["failed"] += 1
            await exchange.tell("500 Internal Server Error", "FUNCTION_INVOCATION_FAILED")
            return
        instance.enter()
        try:
            await self._within_limit(request, exchange, instance)
        finally:
            instance.leave()

    async def _within_limit(self, request: Head, exchange: Exchange, instance: Instance) -> None:
        end = datetime.now(UTC) + timedelta(seconds=self._rules.max_duration) if self._rules.deadline_told else None
        try:
            async with asyncio.timeout(self._rules.max_duration) as limit:
                await exchange.relay(_to_function(request, end), instance)
        except TimeoutError:
            if not limit.expired():
                raise
            self.tally["cut"] += 1
            if self._rules.at_deadline == "kill":
                instance.process.kill()
            await exchange.tell("504 Gateway Timeout", "FUNCTION_INVOCATION_TIMEOUT")
        except (ConnectionError, asyncio.IncompleteReadError):
            self.tally["failed"] += 1
            await exchange.tell("500 Internal Server Error", "FUNCTION_INVOCATION_FAILED")


class Exchange:
    """One connection of a client, and the function's answer on its way to it."""

    def __init__(
        self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter, tally: Counter[str], cancellation: bool
    ) -> None:
        self._reader, self._writer = reader, writer
        self._tally, self._cancellation = tally, cancellation
        self._answering = self._abandoned = False

    async def ignore(self, length: int) -> None:
        """Read the body first: most clients look at the answer only when they have sent it all."""
        await self._reader.readexactly(length)

    async def tell(self, status: str, code: str) -> None:
        """Report an error of the platform, if there is still someone to whom nothing was said."""
        if not self._answering and not self._abandoned:
            self._writer.write(reply(status, code))
            await self._writer.drain()

    async def relay(self, request: Head, instance: Instance) -> None:
        """Hand the request over and the answer back. IncompleteReadError if the function breaks it off."""
        reader, writer = await asyncio.open_connection("127.0.0.1", instance.port)
        writer.write(request.encode())
        answer = asyncio.create_task(self._answer(reader, request))
        upload = asyncio.create_task(self._upload(writer))
        try:
            await asyncio.wait((answer, upload), return_when=asyncio.FIRST_COMPLETED)
            if not answer.done():
                self._abandoned = True
                self._tally["abandoned"] += 1
            if answer.done() or not self._cancellation:
                await answer
        finally:
            writer.close()
            for task in (answer, upload):
                task.cancel()
            await asyncio.gather(answer, upload, return_exceptions=True)

    async def _upload(self, writer: asyncio.StreamWriter) -> None:
        """Pass on the body, if any; the end of this is the client's leaving, as clients close nothing half."""
        with contextlib.suppress(ConnectionError):
            while data := await self._reader.read(65536):
                writer.write(data)
                await writer.drain()

    async def _answer(self, reader: asyncio.StreamReader, request: Head) -> None:
        head = await Head.read(reader)
        while head.status == 100:
            self._writer.write(head.encode())
            head = await Head.read(reader)
        self._answering = True
        self._writer.write(_to_client(head).encode())
        end = BodyEnd(request, head)
        while not end.reached:
            data = await reader.read(65536)
            if not data:
                raise asyncio.IncompleteReadError(data, None)
            end.passes(data)
            # Nobody tells the function that its client is gone: it goes on, and is billed, to its own end.
            if not self._writer.is_closing():
                self._writer.write(data)
                with contextlib.suppress(ConnectionError):
                    await self._writer.drain()


def _to_function(request: Head, end: datetime | None) -> Head:
    """The request with what the platform adds to it; the runtime takes the internal fields out again."""
    token = secrets.token_hex(8)
    added = (
        ("connection", "close"),
        ("x-forwarded-for", CLIENT),
        ("x-real-ip", CLIENT),
        ("x-vercel-forwarded-for", CLIENT),
        ("x-forwarded-host", request.get("host") or ""),
        ("x-forwarded-proto", "https"),
        ("x-vercel-id", f"iad1::iad1::{token}"),
        ("x-vercel-internal-invocation-id", token),
        ("x-vercel-internal-request-id", str(int(token[:6], 16))),
        ("x-vercel-internal-span-id", token),
        ("x-vercel-internal-trace-id", token * 2),
        *((("x-vercel-internal-deadline", _rfc3339(end)),) if end else ()),
    )
    return request.replace((*_HOP, *_FROM_EDGE), added)


def _rfc3339(moment: datetime) -> str:
    return moment.isoformat(timespec="milliseconds").replace("+00:00", "Z")


def _to_client(answer: Head) -> Head:
    return answer.replace((*_HOP, "server", "x-vercel-internal-"), (("connection", "close"), ("server", "Vercel")))
