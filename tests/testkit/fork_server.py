"""A process that has imported the product once, and forks what tests start of it.

`python -m tests.testkit.fork_server FD`. Each message on the socket FD is an order, JSON of `function` ("module:name"),
`argv`, `env`, `cwd`, and four descriptors: input, output, errors, and a socket on which the child's pid, and later its
exit code, are told. Ends with its other side. See `tests/testkit/forked.py`.
"""

from __future__ import annotations

import gc
import importlib
import json
import os
import select
import signal
import socket
import sys
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Callable

# What a service or an emulator imports before it serves. Each child imports by itself what reads the environment
# (`gapless.asgi`) or patches the server (sse-starlette).
IMPORTED_ONCE = (
    "anyio._backends._asyncio",
    "gapless.api.factory",
    "gapless.cli.dotenv",
    "gapless.cli.protocol",
    "gapless.cli.serve",
    "gapless.cli.server",
    "gapless.stores.redis.store",
    "gapless.stores.upstash.store",
    "tests.testkit.upstash.__main__",
    "tests.testkit.variant",
    "uvicorn.lifespan.on",
    "uvicorn.loops.uvloop",
)
MOST = 1 << 17
"""Bytes of one order."""


class ForkServer:
    """The loop of that process. `serve` returns in a child, with what the child is to run, or None at the end."""

    def __init__(self, orders: socket.socket) -> None:
        self._orders = orders
        self._told: dict[int, socket.socket] = {}
        self._wakeup = os.pipe()
        for end in self._wakeup:
            os.set_blocking(end, False)
        signal.signal(signal.SIGCHLD, lambda *_: None)  # Python writes to the pipe only where there is a handler
        signal.set_wakeup_fd(self._wakeup[1], warn_on_full_buffer=False)

    def serve(self) -> Callable[[], object] | None:
        """Take orders until the other side is gone."""
        while True:
            ready, _, _ = select.select([self._orders, self._wakeup[0]], [], [])
            if self._wakeup[0] in ready:
                os.read(self._wakeup[0], 4096)
                self._bury()
            if self._orders in ready:
                data, descriptors, _, _ = socket.recv_fds(self._orders, MOST, 4)
                if not data:
                    return None
                *streams, told = descriptors
                if run := self._fork(json.loads(data), streams, told):
                    return run

    def _fork(self, order: dict[str, Any], streams: list[int], told: int) -> Callable[[], object] | None:
        pid = os.fork()
        if not pid:
            self._leave()
            return become(order, streams, told)
        for stream in streams:
            os.close(stream)
        self._told[pid] = socket.socket(fileno=told)
        return None

    def _bury(self) -> None:
        """Tell of all that have ended."""
        while self._told:
            pid, status = os.waitpid(-1, os.WNOHANG)
            if not pid:
                return
            with self._told.pop(pid) as told:
                try:
                    told.send(str(os.waitstatus_to_exitcode(status)).encode())
                except OSError:
                    continue  # nobody waits for this one

    def _leave(self) -> None:
        """In a child: nothing of the server is left."""
        signal.set_wakeup_fd(-1)
        signal.signal(signal.SIGCHLD, signal.SIG_DFL)
        for end in self._wakeup:
            os.close(end)
        self._orders.close()
        for told in self._told.values():
            told.close()


def become(order: dict[str, Any], streams: list[int], told: int) -> Callable[[], object]:
    """In a child: be as if started by itself, in a session of its own; what to run."""
    os.setsid()
    with socket.socket(fileno=told) as telling:  # not before: whoever knows it signals the session
        telling.send(str(os.getpid()).encode())
    for number, stream in enumerate(streams):
        os.dup2(stream, number)
        os.close(stream)
    os.environ.clear()
    os.environ.update(order["env"])
    os.chdir(order["cwd"])
    argv = list(order["argv"])
    sys.argv = argv[2:] if argv[1:2] == ["-m"] else argv
    module, _, name = order["function"].partition(":")
    run: Callable[[], object] = getattr(importlib.import_module(module), name)
    return run


def main() -> None:
    """Serve; in a child, run what was ordered, and end as it ends."""
    for name in IMPORTED_ONCE:
        importlib.import_module(name)
    gc.collect()
    gc.freeze()  # pages that nobody writes to stay shared
    run = ForkServer(socket.socket(fileno=int(sys.argv[1]))).serve()
    sys.exit(run() if run else 0)


if __name__ == "__main__":
    main()
