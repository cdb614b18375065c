"""The HTTP face: who may, what is asked, which fault is due, what is answered."""

from __future__ import annotations

import asyncio
from collections import Counter
from typing import TYPE_CHECKING, Final
from urllib.parse import unquote

from redis.exceptions import ConnectionError as RedisConnectionError
from redis.exceptions import TimeoutError as RedisTimeoutError
from starlette.requests import ClientDisconnect, Request
from starlette.responses import Response

from tests.testkit.upstash import replies
from tests.testkit.upstash.counts import note
from tests.testkit.upstash.exchange import Exchange
from tests.testkit.upstash.faults import Armed, Faults, Seen
from tests.testkit.upstash.replies import ErrorReply
from tests.testkit.upstash.request import (
    Argv,
    Asked,
    BadRequest,
    command_name,
    parse,
    raw_path,
    segments,
    token_of,
)
from tests.testkit.upstash.upstreams import Upstream, Upstreams

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable, Mapping

    from starlette.types import ASGIApp, Receive, Scope, Send

    from tests.testkit.upstash.engine import Engine
    from tests.testkit.upstash.faults import How, Kind

# Upstash REST docs, "HTTP Codes": "Only HEAD, GET, POST and PUT methods are allowed."
_METHODS: Final = frozenset({"HEAD", "GET", "POST", "PUT"})
_DOWN: Final = (RedisConnectionError, RedisTimeoutError)
_OUTAGES: Final[tuple[Kind, ...]] = ("server_error", "html", "drop_reply", "hang")


class App:
    """The ASGI application. `roles` maps each token to "may it only read?"."""

    def __init__(
        self,
        engine: Engine,
        faults: Faults,
        roles: Mapping[str, bool],
        max_bytes: int,
        control: ASGIApp,
        end_connection: Callable[[Scope, How], None],
    ) -> None:
        self.upstreams = Upstreams(faults)
        self.held: list[Callable[[], Awaitable[Response]]] = []
        self.closing = False
        self.asked: Counter[str] = Counter()
        self.sent = 0
        """Bytes of replies and notices so far, before base64 makes a third more of the replies."""
        self._engine, self._faults, self._roles = engine, faults, roles
        self._max_bytes, self._control, self._end_connection = max_bytes, control, end_connection
        self._late: set[asyncio.Task[None]] = set()

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        try:
            if scope["path"].startswith("/-/"):
                await self._control(scope, receive, send)
            else:
                await self._serve(Exchange(scope, receive, send, self._end_connection))
        except ClientDisconnect:
            pass
        except asyncio.CancelledError:
            if not self.closing:
                raise

    async def close(self) -> None:
        """Give up what runs late."""
        self.closing = True
        for task in list(self._late):
            task.cancel()
        await asyncio.gather(*self._late, return_exceptions=True)

    async def release(self) -> int:
        """Run the commands of requests held back by a fault, in order; how many requests."""
        held, self.held[:] = list(self.held), []
        for work in held:
            await work()
        return len(held)

    async def _serve(self, exchange: Exchange) -> None:
        request = exchange.request
        if request.method not in _METHODS:
            await exchange.answer(Response(status_code=405))
            return
        # Upstash REST docs, "HTTP Codes": 401 "when authentication fails; auth token is missing or invalid".
        read_only = self._roles.get(token_of(request))
        if read_only is None:
            await exchange.answer(replies.refusal(replies.WRONGPASS, 401))
        elif raw_path(request).startswith(("/subscribe/", "/psubscribe/")):
            await self._subscribe(exchange)
        else:
            await self._command(exchange, read_only)

    async def _command(self, exchange: Exchange, read_only: bool) -> None:
        try:
            asked = parse(exchange.request, await self._body(exchange.request))
        except BadRequest as bad:
            await exchange.answer(replies.refusal(bad.error))
            return
        seen = Seen(unquote(asked.path), asked.commands)

        async def work() -> Response:
            return await self._delayed(seen, lambda: self._answer(asked, seen, read_only))

        try:
            if not await self._fault(exchange, seen, work):
                await exchange.answer(await work())
        finally:
            note(self.asked, asked.commands)

    async def _answer(self, asked: Asked, seen: Seen, read_only: bool) -> Response:
        try:
            answer = await self._engine.answer(asked, seen, read_only=read_only)
        except _DOWN as error:
            return replies.refusal(ErrorReply(f"ERR {error}"), 500)
        self.sent += sum(map(_size, answer.replies))
        headers = {"Upstash-Sync-Token": answer.sync_token}
        if answer.discarded is not None:
            return replies.single(answer.discarded, asked.base64, headers)
        if asked.shape == "single":
            return self._within(replies.single(answer.replies[0], asked.base64, headers))
        return self._within(replies.several(answer.replies, asked.base64, headers))

    async def _subscribe(self, exchange: Exchange) -> None:
        request = exchange.request
        command, *names = segments(raw_path(request))
        argv = (command.upper(), *names)
        note(self.asked, [argv])
        seen = Seen(unquote(raw_path(request)), (argv,))
        if "text/event-stream" not in request.headers.get("accept", ""):
            await exchange.answer(replies.refusal(replies.not_over_rest(argv[0].decode())))
        elif armed := self._faults.fire("refuse_subscribe", seen):
            error = replies.not_over_rest(argv[0].decode())
            await exchange.answer(replies.refusal(error, armed.options["status"]))
        elif not await self._fault(exchange, seen, lambda: self._delayed(seen, _nothing)):
            await self._delayed(seen, _nothing)
            await self._stream(exchange, argv, seen.path)

    async def _stream(self, exchange: Exchange, argv: Argv, path: str) -> None:
        try:
            connection = await self._engine.primary.subscribe(argv)
        except _DOWN as error:
            await exchange.answer(replies.refusal(ErrorReply(f"ERR {error}"), 500))
            return
        name, counts = command_name(argv), self._engine.counts
        counts[name] += 1
        upstream = Upstream(path, connection, self._faults)

        async def counted(block: bytes) -> None:
            self.sent += len(block)
            await exchange.send_event(block)

        try:
            await exchange.start_events()
            how = await upstream.serve(counted, exchange.gone(), lambda: self.upstreams.add(upstream))
        finally:
            counts[name.replace("SUB", "UNSUB")] += 1
            self.upstreams.discard(upstream)
            await connection.disconnect(nowait=True)
        if how is not None:
            await exchange.end_events(how)

    async def _fault(self, exchange: Exchange, seen: Seen, work: Callable[[], Awaitable[Response]]) -> bool:
        """Let the fault that is due happen; False where none is, and nothing has run."""
        if self._faults.fire("unauthorized", seen):
            await exchange.answer(replies.refusal(replies.WRONGPASS, 401))
            return True
        if armed := self._faults.fire("rate_limited", seen):
            await exchange.answer(replies.refusal(replies.RATE_LIMITED, armed.options["status"]))
            return True
        for kind in _OUTAGES:
            if armed := self._faults.fire(kind, seen):
                await self._outage(exchange, armed, work)
                return True
        return False

    async def _outage(self, exchange: Exchange, armed: Armed, work: Callable[[], Awaitable[Response]]) -> None:
        if armed.options["run"] == "first":
            await work()
        elif armed.options["run"] == "late":
            task = asyncio.ensure_future(self._later(armed.seconds(), work))
            self._late.add(task)
            task.add_done_callback(self._late.discard)
        elif armed.options["run"] == "held":
            self.held.append(work)
        if armed.kind == "server_error":
            await exchange.answer(replies.refusal(replies.INTERNAL, 500))
        elif armed.kind == "html":
            await exchange.answer(replies.bad_gateway())
        elif armed.kind == "drop_reply":
            await exchange.vanish(armed.options["how"])
        else:
            await exchange.gone()

    async def _later(self, seconds: float, work: Callable[[], Awaitable[Response]]) -> None:
        await asyncio.sleep(seconds)
        await work()

    async def _delayed(self, seen: Seen, work: Callable[[], Awaitable[Response]]) -> Response:
        armed = self._faults.fire("delay", seen)
        if armed is None:
            return await work()
        seconds, share = armed.seconds(), armed.share()
        await asyncio.sleep(seconds * share)
        response = await work()
        await asyncio.sleep(seconds * (1 - share))
        return response

    async def _body(self, request: Request) -> bytes:
        # Upstash REST docs, troubleshooting "ERR max request size exceeded": 10 MB a request.
        body, size = bytearray(), 0
        async for chunk in request.stream():
            size += len(chunk)
            if size <= self._max_bytes:
                body += chunk
        if size > self._max_bytes:
            raise BadRequest(replies.too_large(self._max_bytes, size))
        return bytes(body)

    def _within(self, response: Response) -> Response:
        # The same page: loading "all elements in the list with a single request" can exceed it too.
        size = len(response.body)
        if size <= self._max_bytes:
            return response
        return replies.refusal(replies.too_large(self._max_bytes, size))


async def _nothing() -> Response:
    return Response()


def _size(reply: object) -> int:
    """Bytes of all texts in a reply."""
    if isinstance(reply, list):
        return sum(map(_size, reply))
    return len(reply) if isinstance(reply, bytes | str) else 0
