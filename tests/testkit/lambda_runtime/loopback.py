"""uvicorn on free loopback ports, in the loop that is running."""

from __future__ import annotations

import asyncio
import socket
from contextlib import asynccontextmanager, contextmanager
from typing import TYPE_CHECKING

import uvicorn

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Iterator

    from starlette.types import ASGIApp


class _Server(uvicorn.Server):
    @contextmanager
    def capture_signals(self) -> Iterator[None]:
        # Ctrl-C belongs to the test run, and servers that nest would restore each other's handlers in wrong order.
        yield


@asynccontextmanager
async def listening(app: ASGIApp, *, ports: int = 1) -> AsyncIterator[list[int]]:
    """Serves `app` on so many ports; at the end open connections are cut."""
    sockets = [_listener() for _ in range(ports)]
    config = uvicorn.Config(
        app,
        lifespan="off",
        ws="none",
        log_config=None,
        access_log=False,
        server_header=False,
        date_header=False,
        h11_max_incomplete_event_size=128 * 1024,
        timeout_keep_alive=3600,
    )
    server = _Server(config)
    task = asyncio.create_task(server.serve(sockets))
    try:
        yield [listener.getsockname()[1] for listener in sockets]
    finally:
        server.should_exit = server.force_exit = True
        await task


def _listener() -> socket.socket:
    # asyncio switches Nagle's delay off only where the socket says that it is TCP; else each reply waits 40 ms.
    listener = socket.socket(socket.AF_INET, socket.SOCK_STREAM, socket.IPPROTO_TCP)
    listener.bind(("127.0.0.1", 0))
    listener.listen(512)
    return listener
