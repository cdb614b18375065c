"""The product in the test's own process: the app on a real Valkey, asked without a socket between."""

from __future__ import annotations

import time
from collections.abc import AsyncIterator, Callable, Iterable
from contextlib import asynccontextmanager
from dataclasses import dataclass
from typing import Any

import httpx
from fastapi import FastAPI

from app.factory import create_app
from app.policy import SERVER, Policy
from app.settings import Settings
from tests.support.event_stream import Event, EventStreamParser

URL = "http://localhost"


@dataclass
class House:
    """A running app. `client` asks it from loopback, `at(address)` from elsewhere."""

    app: FastAPI
    client: httpx.AsyncClient

    def at(self, address: str, **options: Any) -> httpx.AsyncClient:
        """A client at another address. It holds nothing that would have to be closed."""
        return _client(self.app, address, **options)


@asynccontextmanager
async def house(
    redis_url: str, *, policy: Policy = SERVER, wall: Callable[[], float] = time.time, **settings: Any
) -> AsyncIterator[House]:
    """An app with these settings. Streams live for 0.2 s unless it is said otherwise: they are read to their end."""
    chosen = Settings(**{"redis_url": redis_url, "lifetime": 0.2, "linger": 0.0, **settings})
    app = create_app(chosen, policy, wall=wall)
    async with app.router.lifespan_context(app), _client(app, "127.0.0.1") as client:
        yield House(app, client)


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
