"""The product in the test's own process: the app on a real Valkey, asked without a socket between."""

from __future__ import annotations

import asyncio
import json
import os
import time
from collections.abc import AsyncIterator, Callable, Iterable, Mapping, MutableMapping
from contextlib import asynccontextmanager
from dataclasses import dataclass
from functools import lru_cache
from typing import Any

import httpx
from fastapi import FastAPI

from gapless.api.factory import create_app
from gapless.config.settings import Settings
from gapless.platforms.policy import SERVER, Policy
from tests.testkit.alarm import auntil
from tests.testkit.clock import VirtualClock
from tests.testkit.event_stream import Event, EventStreamParser
from tests.testkit.isolation import ours
from tests.testkit.model_store import ModelStore

URL = "http://localhost"


class Live:
    """What a client has read of a stream so far."""

    def __init__(self) -> None:
        self.status = 0
        self.body = b""
        self.events: list[Event] = []
        self.left = asyncio.Event()
        self._parser = EventStreamParser()
        self._asked = False

    async def receive(self) -> MutableMapping[str, Any]:
        """The client's side of ASGI: a request without a body, and then silence until it leaves."""
        if not self._asked:
            self._asked = True
            return {"type": "http.request", "body": b"", "more_body": False}
        await self.left.wait()
        return {"type": "http.disconnect"}

    async def send(self, message: MutableMapping[str, Any]) -> None:
        """The service's side."""
        self.status = message.get("status", self.status)
        piece = bytes(message.get("body", b""))
        self.body += piece
        self.events += self._parser.feed(piece)

    async def until(self, kind: str, count: int = 1, *, alarm: float = 10.0) -> list[Any]:
        """The data of the events of this name, once there are so many."""

        def found() -> list[str]:
            return of_kind(self.events, kind)

        await auntil(lambda: len(found()) >= count, f"{count} x {kind} (so far: {self.events})", alarm=alarm)
        return [json.loads(data) for data in found()]


@dataclass
class RunningApp:
    """A running app. `client` asks it from loopback, `at(address)` from elsewhere."""

    app: FastAPI
    client: httpx.AsyncClient

    @asynccontextmanager
    async def live(self, path: str, headers: Mapping[str, str] | None = None) -> AsyncIterator[Live]:
        """A stream that is read while it lives; leaving the block is the client's leaving."""
        stream = Live()
        request = httpx.Request("GET", f"{URL}{path}", headers=headers)
        task = asyncio.create_task(self.app(_scope(request), stream.receive, stream.send))
        try:
            yield stream
        finally:
            stream.left.set()
            async with asyncio.timeout(20):
                await task

    async def first(self, path: str, kind: str) -> Any:
        """The data of a stream's first event of this name. See `whole`."""
        while True:
            async with self.live(path) as stream:
                await auntil(lambda: {kind, "end"} & {event.type for event in stream.events}, kind)
                if found := of_kind(stream.events, kind):
                    return json.loads(found[0])

    async def checked(self) -> RunningApp:
        """Itself, once the check of its store with which it starts is over: from then on the store may be emptied."""
        assert (await self.client.get("/readyz")).status_code == 200
        return self

    async def whole(self, path: str, headers: Mapping[str, str] | None = None) -> list[Event]:
        """A stream to its end. Where the machine is held up, that may come before its hello: then it is the next's."""
        while True:
            reply = await self.client.get(path, headers=headers)
            assert reply.status_code == 200, reply.text
            if (told := events(reply.content))[0].type != "end":
                return told

    def at(self, address: str, **options: Any) -> httpx.AsyncClient:
        """A client at another address. It holds nothing that would have to be closed."""
        return _client(self.app, address, **options)


@asynccontextmanager
async def virtual_app(
    policy: Policy = SERVER, clock: Callable[[], float] | None = None, **settings: Any
) -> AsyncIterator[RunningApp]:
    """An app with these settings on virtual time, whose store is a model: no stream of it is over before it begins,
    however long the machine is held up. `clock`: what it believes the time to be, if that is not the loop's."""
    virtual = VirtualClock()
    app = create_app(Settings(**settings), policy, lambda: ModelStore(virtual, cap=20, page=8), clock or virtual.now)
    async with app.router.lifespan_context(app), _client(app, "127.0.0.1") as client:
        yield RunningApp(app, client)


@asynccontextmanager
async def running_app(
    redis_url: str | None,
    *,
    policy: Policy = SERVER,
    clock: Callable[[], float] = time.time,
    tracing: Any = None,
    **settings: Any,
) -> AsyncIterator[RunningApp]:
    """An app with these settings. Streams live for 0.5 s unless it is said otherwise: they are read to their end."""
    chosen = {"redis_url": redis_url, "lifetime": 0.5, "linger": 0.0, **settings}
    app = create_app(read(chosen), policy, clock=clock, tracing=tracing)
    async with app.router.lifespan_context(app), _client(app, "127.0.0.1") as client:
        yield RunningApp(app, client)


def read(chosen: Mapping[str, Any]) -> Settings:
    """These settings, frozen; read once, for that takes longer than all else that a running app takes."""
    environment = {name: os.environ[name] for name in ours(os.environ)}
    try:
        return _read(json.dumps([chosen, environment]))
    except TypeError:  # not of plain values
        return Settings(**chosen)


@lru_cache(maxsize=256)
def _read(told: str) -> Settings:
    return Settings(**json.loads(told)[0])


def _scope(request: httpx.Request) -> MutableMapping[str, Any]:
    return {
        "type": "http",
        "asgi": {"version": "3.0"},
        "http_version": "1.1",
        "method": request.method,
        "scheme": "http",
        "path": request.url.path,
        "raw_path": request.url.raw_path.partition(b"?")[0],
        "query_string": request.url.query,
        "root_path": "",
        "headers": [(name.lower(), value) for name, value in request.headers.raw],
        "client": ("127.0.0.1", 4711),
        "server": ("localhost", 80),
    }


def _client(app: FastAPI, address: str, **options: Any) -> httpx.AsyncClient:
    transport = httpx.ASGITransport(app, client=(address, 4711))
    return httpx.AsyncClient(transport=transport, **{"base_url": URL, "timeout": 10.0, **options})


def events(body: bytes) -> list[Event]:
    """A whole stream, read by the standard's rules."""
    return list(EventStreamParser().feed(body))


def of_kind(read: Iterable[Event], kind: str) -> list[str]:
    """The data of each event of this name."""
    return [event.data for event in read if event.type == kind]


def bearer(token: str) -> dict[str, str]:
    return {"Authorization": f"Bearer {token}"}
