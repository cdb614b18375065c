"""HTTP in, events out: a front on loopback with a real function behind it."""

from __future__ import annotations

import asyncio
import json
import secrets
import tempfile
import time
import uuid
from contextlib import AsyncExitStack
from pathlib import Path
from typing import TYPE_CHECKING, Self, Unpack

from .fronts import Fault, Front, Setup, Stamp
from .fronts.exchange import Reply, Request, text
from .fronts.port import BadResultError
from .function import Function
from .interpreter import FunctionOptions, FunctionSpec, prepared
from .loopback import listening
from .runtime_api import runtime_api
from .stats import Stats

if TYPE_CHECKING:
    from starlette.types import Message, Receive, Scope, Send

    from .fronts import FrontKind


class LambdaFront:
    """A function behind a front, while the context is open.

    `handler` and `function` (`env`, `cwd`, `python`, `timeout`, `freeze`, …: see FunctionSpec) say what runs; `kind`
    and `setup` say what stands before it; at most `concurrency` processes run at once. `front_timeout` replaces the
    kind's own. The process inherits no environment variable of this one.
    """

    def __init__(
        self,
        handler: str,
        kind: Front = Front.HTTP_API_V2,
        *,
        setup: Setup | None = None,
        concurrency: int = 10,
        front_timeout: float | None = None,
        **function: Unpack[FunctionOptions],
    ) -> None:
        self.spec = FunctionSpec(handler, **function)
        self.kind: FrontKind = kind.value
        self.setup = setup or Setup()
        self.stats = Stats()
        self.url = ""
        self._concurrency = concurrency
        self._front_timeout = front_timeout or self.kind.front_timeout
        self._running: set[asyncio.Task[Reply]] = set()
        self._stack = AsyncExitStack()
        self._function: Function

    async def __aenter__(self) -> Self:
        async with AsyncExitStack() as stack:
            scratch = Path(stack.enter_context(tempfile.TemporaryDirectory(prefix="lambda-")))
            launch = prepared(self.spec, scratch)
            self._function = Function(self.spec, launch, scratch, self.stats)
            api = runtime_api(self._function.by_port, self.spec.arn)
            self._function.allow(await stack.enter_async_context(listening(api, ports=self._concurrency)))
            stack.push_async_callback(self._function.close)
            stack.push_async_callback(self._abandon)
            (port,) = await stack.enter_async_context(listening(self))
            self.url = f"http://127.0.0.1:{port}{self.kind.prefix(self.setup)}"
            self._stack = stack.pop_all()
        return self

    async def __aexit__(self, *_: object) -> None:
        await self._stack.aclose()

    async def _abandon(self) -> None:
        for task in self._running:
            task.cancel()
        await asyncio.gather(*self._running, return_exceptions=True)

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """The front as an ASGI application."""
        reply = await self._answer(await _received(scope, receive, self.kind.body_limit))
        self.stats.answers.append(reply.status)
        headers = [(name.encode("latin-1"), value.encode()) for name, value in reply.headers]
        headers.append((b"content-length", b"%d" % len(reply.body)))
        await send({"type": "http.response.start", "status": reply.status, "headers": headers})
        await send({"type": "http.response.body", "body": reply.body})

    async def _answer(self, request: Request | None) -> Reply:
        if request is None:
            return self._fault(Fault.REQUEST_TOO_LARGE)
        sizes = (len(name) + len(value) for name, value in request.headers)
        if self.kind.header_limit is not None and sum(sizes) > self.kind.header_limit:
            return self._fault(Fault.HEADERS_TOO_LARGE)
        if not f"{request.path}/".startswith(f"{self.kind.prefix(self.setup)}/"):
            return self._fault(Fault.NO_ROUTE)
        # The function runs to its end whether or not anyone still waits for it.
        task = asyncio.create_task(self._invoke(request))
        self._running.add(task)
        task.add_done_callback(self._running.discard)
        done, _ = await asyncio.wait({task}, timeout=self._front_timeout)
        return task.result() if done else self._fault(Fault.FRONT_TIMEOUT)

    async def _invoke(self, request: Request) -> Reply:
        stamp = _stamp()
        event = json.dumps(self.kind.event(request, self.setup, stamp), ensure_ascii=False).encode()
        if len(event) > self.kind.event_limit:
            return self._fault(Fault.REQUEST_TOO_LARGE)
        outcome = await self._function.invoke(stamp, event)
        if outcome.fault is not None:
            return self._fault(outcome.fault)
        if len(outcome.payload) > self.kind.result_limit:
            return self._fault(Fault.RESULT_TOO_LARGE)
        try:
            return self.kind.reply(outcome.payload, request, self.setup, stamp)
        except BadResultError:
            return self._fault(Fault.BAD_RESULT)

    def _fault(self, fault: Fault) -> Reply:
        self.stats.faults.append(fault)
        status, content_type, body = self.kind.faults[fault]
        return Reply(status, (("content-type", content_type),), body)


def _stamp() -> Stamp:
    trace = f"Root=1-{int(time.time()):08x}-{secrets.token_hex(12)};Parent={secrets.token_hex(8)};Sampled=0"
    return Stamp(str(uuid.uuid4()), trace, int(time.time() * 1000))


async def _received(scope: Scope, receive: Receive, limit: int) -> Request | None:
    """The whole request, or None where its body passes the limit: the rest is left unread."""
    body = bytearray()
    more = True
    while more:
        message: Message = await receive()
        body += message.get("body", b"")
        more = message.get("more_body", False)
        if len(body) > limit:
            return None
    headers = tuple((text(name), text(value)) for name, value in scope["headers"])
    return Request(scope["method"], text(scope["raw_path"]), text(scope["query_string"]), headers, bytes(body))
