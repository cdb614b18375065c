"""Upstash's REST API by plain httpx: what drives the emulator, so that no client of ours is between."""

from __future__ import annotations

from contextlib import asynccontextmanager
from typing import TYPE_CHECKING, Any, Protocol

import anyio
import httpx

if TYPE_CHECKING:
    from collections.abc import AsyncIterator

EVENTS = {"Accept": "text/event-stream"}
# Seconds.
ALARM = 30.0


class Database(Protocol):
    """Where and with which token."""

    @property
    def url(self) -> str: ...
    @property
    def token(self) -> str: ...


def bare(up: Database, **headers: str) -> httpx.AsyncClient:
    """A client without a token. (`verify=False` saves the 50 ms of loading certificates.)"""
    return httpx.AsyncClient(base_url=up.url, headers=headers, timeout=ALARM, trust_env=False, verify=False)


def client(up: Database, token: str | None = None, **headers: str) -> httpx.AsyncClient:
    """A client with a bearer token, by default the standard one."""
    return bare(up, Authorization=f"Bearer {token or up.token}", **headers)


async def ask(http: httpx.AsyncClient, *command: object) -> Any:
    """The `result` of one command, status 200."""
    response = await http.post("/", json=command)
    assert response.status_code == 200, response.text
    assert response.json().keys() == {"result"}
    return response.json()["result"]


async def refused(http: httpx.AsyncClient, *command: object) -> str:
    """The `error` of one command, status 400."""
    response = await http.post("/", json=command)
    assert response.status_code == 400, response.text
    assert response.json().keys() == {"error"}
    return str(response.json()["error"])


class Subscription:
    """An open event stream: `await next()` is its next block of bytes, b"" at its end."""

    def __init__(self, response: httpx.Response) -> None:
        self.response = response
        self._bytes = response.aiter_raw()
        self._seen = b""

    async def next(self) -> bytes:
        with anyio.fail_after(ALARM):
            while b"\n\n" not in self._seen:
                try:
                    self._seen += await anext(self._bytes)
                except StopAsyncIteration:
                    return b""
        block, _, self._seen = self._seen.partition(b"\n\n")
        return block


@asynccontextmanager
async def subscribed(http: httpx.AsyncClient, path: str) -> AsyncIterator[Subscription]:
    """A subscription whose acknowledgement has been read."""
    async with http.stream("POST", path, headers=EVENTS) as response:
        assert response.status_code == 200
        assert response.headers["content-type"].startswith("text/event-stream")
        subscription = Subscription(response)
        assert (await subscription.next()).startswith((b"data: subscribe,", b"data: psubscribe,"))
        yield subscription
