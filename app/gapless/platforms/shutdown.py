"""Ends requests that wait: when the server begins to stop, and when the client leaves.

An EventSource never reconnects after a stream that broke off or was answered with a 500. No server tells an app in time
that it stops: the lifespan ends only after all connections. So one timer looks for the first thing that every server
does when it stops.
"""

from __future__ import annotations

import asyncio
import contextlib
import os
import signal
import socket
from collections.abc import AsyncIterator, Callable
from contextlib import AbstractContextManager
from typing import Any

from starlette.types import Receive

from gapless.runtime.tasks import end

LOOK = 0.25
"""Seconds between two looks while a request waits: with the server's own clock, a stop is known in half a second."""

GOODBYE = 1.0
"""Seconds for goodbyes where it is lifespan that ends first."""

Server = tuple[str, int | None] | None
"""The address that a request came to, as ASGI has it; a path and None for a unix socket."""


class ServerShutdown(Exception):
    """The server has begun to stop."""


class ClientGone(Exception):
    """The client has left."""


class ShutdownWatch:
    """Tells all waiting requests of a process that the server stops. `stops`: whether the server at an address does."""

    def __init__(self, stops: Callable[[Server], bool] | None = None) -> None:
        self._stops = stops or Listening().is_over
        self._begun = False
        self._waiting: set[Callable[[], None]] = set()
        self._nobody = asyncio.Event()
        self._nobody.set()
        self._clock: asyncio.TimerHandle | None = None

    def on_shutdown(self, leave: Callable[[], None], server: Server) -> AbstractContextManager[None]:
        """Calls `leave` once, as soon as the server begins to stop, at once if it has; never after the block."""
        return _Waiting(self, leave, server)

    def _enter(self, leave: Callable[[], None], server: Server) -> None:
        self._waiting.add(leave)
        self._nobody.clear()
        if self._begun:
            leave()
        elif self._clock is None:
            self._look(server)

    def _exit(self, leave: Callable[[], None]) -> None:
        self._waiting.discard(leave)
        if not self._waiting:
            self._rest()

    @contextlib.asynccontextmanager
    async def cancel_on_shutdown(self, server: Server) -> AsyncIterator[None]:
        """Cancels what is inside when the server begins to stop, and raises ServerShutdown in its place."""
        async with _interruptible(ServerShutdown) as interrupt:
            with self.on_shutdown(interrupt, server):
                yield

    async def finish(self) -> None:
        """The server asks the app to end: tell all, and give them a moment to say goodbye."""
        self._begin()
        with contextlib.suppress(TimeoutError):
            async with asyncio.timeout(GOODBYE):
                await self._nobody.wait()

    def _look(self, server: Server) -> None:
        if self._stops(server):
            self._begin()
        else:
            self._clock = asyncio.get_running_loop().call_later(LOOK, self._look, server)

    def _rest(self) -> None:
        self._nobody.set()
        if self._clock is not None:
            self._clock.cancel()
            self._clock = None

    def _begin(self) -> None:
        self._begun = True
        for leave in list(self._waiting):
            leave()


class _Waiting:
    """One who waits, for as long as its block runs. Each stream has one, and a generator would be twice as large."""

    __slots__ = ("_leave", "_server", "_watch")

    def __init__(self, watch: ShutdownWatch, leave: Callable[[], None], server: Server) -> None:
        self._watch = watch
        self._leave = leave
        self._server = server

    def __enter__(self) -> None:
        self._watch._enter(self._leave, self._server)

    def __exit__(self, *_: object) -> None:
        self._watch._exit(self._leave)


@contextlib.asynccontextmanager
async def cancel_on_disconnect(receive: Receive) -> AsyncIterator[None]:
    """Cancels what is inside when the client leaves, and raises ClientGone in its place."""
    async with _interruptible(ClientGone) as interrupt:
        watching = asyncio.create_task(_gone(receive))
        watching.add_done_callback(lambda told: None if told.cancelled() else interrupt())
        try:
            yield
        finally:
            await end(watching)


async def _gone(receive: Receive) -> None:
    """Return when the client has left. The rest of its body is dropped."""
    while (await receive())["type"] != "http.disconnect":
        pass


@contextlib.asynccontextmanager
async def _interruptible(error: type[Exception]) -> AsyncIterator[Callable[[], None]]:
    """What it yields breaks off what is inside, which then raises `error`."""
    loop = asyncio.get_running_loop()
    limit = asyncio.timeout(None)

    def interrupt() -> None:
        with contextlib.suppress(RuntimeError):  # it was done, or broken off, a moment ago
            limit.reschedule(loop.time())

    try:
        async with limit:
            yield interrupt
    except TimeoutError:
        if not limit.expired():
            raise
        raise error from None


class Listening:
    """Whether this process still takes connections: what a server stops first, whatever makes it stop.

    uvicorn's server is found as the handler of SIGTERM. Others are not to be found, but their listening socket is.
    """

    def __init__(self) -> None:
        self._sockets: list[int] | None = None

    def is_over(self, server: Server) -> bool:
        """True once it does not; False where nobody knows."""
        found: Any = getattr(signal.getsignal(signal.SIGTERM), "__self__", None)
        if hasattr(found, "should_exit") and getattr(found, "started", False):
            return bool(found.should_exit or not any(one.is_serving() for one in found.servers))
        if server is None:
            return False
        if self._sockets is None:
            self._sockets = [number for number in _descriptors() if _listens(number, server)]
        return bool(self._sockets) and not any(_listens(number, server) for number in self._sockets)


def _descriptors() -> list[int]:
    try:
        return [int(name) for name in os.listdir("/dev/fd")]  # noqa: PTH208 - numbers, no paths
    except OSError:
        return []  # there are none to be seen on Windows


def _listens(number: int, server: tuple[str, int | None]) -> bool:
    """Whether this descriptor is a socket that takes connections at this address, on whatever interfaces."""
    try:
        looked = socket.socket(fileno=number)
    except OSError:
        return False
    try:
        name = looked.getsockname()
        here = name == server[0] if server[1] is None else isinstance(name, tuple) and name[1] == int(server[1])
        return here and looked.getsockopt(socket.SOL_SOCKET, socket.SO_ACCEPTCONN) == 1
    except (OSError, ValueError):  # a port that is no number is none of ours
        return False
    finally:
        looked.detach()
