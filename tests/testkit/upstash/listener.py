"""uvicorn on a loopback port, with its connections in reach: some faults need the TCP connection itself."""

from __future__ import annotations

import asyncio
import socket
import struct
from typing import TYPE_CHECKING, Any, Self

import uvicorn

if TYPE_CHECKING:
    from starlette.types import ASGIApp, Scope

    from tests.testkit.upstash.faults import How

# Seconds. A connection that the server closed as idle would look like a fault that nobody armed.
_KEEP_ALIVE = 3600


class Listener:
    """Serves one ASGI app on 127.0.0.1. `port` 0 takes any free one."""

    def __init__(self, app: ASGIApp, port: int) -> None:
        config = uvicorn.Config(
            app, ws="none", lifespan="off", log_config=None, access_log=False, timeout_keep_alive=_KEEP_ALIVE
        )
        self._server = uvicorn.Server(config)
        self._config, self._wanted = config, port
        self.port = 0

    async def __aenter__(self) -> Self:
        # Not `serve()`: it takes over the process's signals, and starts and stops by ticks of 100 ms.
        self._config.load()
        self._server.lifespan = self._config.lifespan_class(self._config)
        # Named as TCP, or asyncio leaves Nagle's algorithm on, and a reply of two writes takes 40 ms.
        listening = socket.socket(socket.AF_INET, socket.SOCK_STREAM, socket.IPPROTO_TCP)
        listening.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        listening.bind(("127.0.0.1", self._wanted))
        self.port = listening.getsockname()[1]
        await self._server.startup(sockets=[listening])
        return self

    async def __aexit__(self, *_: object) -> None:
        state = self._server.server_state
        for server in self._server.servers:
            server.close()
        for connection in list(state.connections):
            connection.transport.abort()
        # One turn of the loop tells each handler that its client is gone; after it, cancelling is quiet.
        await asyncio.sleep(0)
        tasks = list(state.tasks)
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)

    def end_connection(self, scope: Scope, how: How) -> None:
        """End the TCP connection of a request, without another byte: FIN, or RST."""
        connections: set[Any] = set(self._server.server_state.connections)
        ours = (c.transport for c in connections if c.client == scope["client"])
        transport = next(ours, None)
        if transport is None:  # The client was faster.
            return
        if how == "reset":
            linger = struct.pack("ii", 1, 0)
            transport.get_extra_info("socket").setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, linger)
        transport.abort()
