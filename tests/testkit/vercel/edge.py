"""Vercel's edge: it takes a request, picks an instance, says until when, and hangs up at that moment."""

from __future__ import annotations

import asyncio
import contextlib
from collections import Counter
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING, Literal

from tests.testkit.vercel.exchange import Cut, Exchange, to_function
from tests.testkit.vercel.http import Head

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable

    from tests.testkit.vercel.instance import Instance

# 4.5 MB, the largest body of a request that Vercel takes.
_LARGEST_BODY = 4_500_000


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
        self.rules = rules
        self._pick = pick
        self._tasks: set[asyncio.Task[None]] = set()
        self._exchanges: set[Exchange] = set()
        self._server: asyncio.Server | None = None

    async def start(self) -> str:
        """Listen on a free port; the URL, without a final slash."""
        self._server = await asyncio.start_server(self._connected, "127.0.0.1", 0)
        return f"http://127.0.0.1:{self._server.sockets[0].getsockname()[1]}"

    async def close(self) -> None:
        """Stop listening and hang up on everyone."""
        if self._server is not None:
            self._server.close()
        for task in self._tasks:
            task.cancel()
        await asyncio.gather(*self._tasks, return_exceptions=True)

    def cut(self, after: int) -> int:
        """End every answer that has begun as its deadline would, once `after` more of its bytes have passed."""
        begun = [exchange for exchange in self._exchanges if exchange.answering]
        for exchange in begun:
            exchange.left = after
        return len(begun)

    def _connected(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        task = asyncio.create_task(self._converse(reader, writer))
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)

    async def _converse(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        """One request; every answer closes its connection, so that no client mixes two instances."""
        exchange = Exchange(reader, writer, self.tally, self.rules.cancellation)
        self._exchanges.add(exchange)
        try:
            with contextlib.suppress(asyncio.IncompleteReadError, ConnectionError):
                await self._serve(await Head.read(reader), exchange)
        finally:
            self._exchanges.discard(exchange)
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
        end = datetime.now(UTC) + timedelta(seconds=self.rules.max_duration) if self.rules.deadline_told else None
        try:
            async with asyncio.timeout(self.rules.max_duration) as limit:
                await exchange.relay(to_function(request, end), instance)
        except Cut:
            await self._hang_up(exchange, instance)
        except TimeoutError:
            if not limit.expired():
                raise
            await self._hang_up(exchange, instance)
        except (ConnectionError, asyncio.IncompleteReadError):
            self.tally["failed"] += 1
            await exchange.tell("500 Internal Server Error", "FUNCTION_INVOCATION_FAILED")

    async def _hang_up(self, exchange: Exchange, instance: Instance) -> None:
        self.tally["cut"] += 1
        if self.rules.at_deadline == "kill":
            instance.process.kill()
        await exchange.tell("504 Gateway Timeout", "FUNCTION_INVOCATION_TIMEOUT")
