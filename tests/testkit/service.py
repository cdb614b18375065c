"""The real product as users run it: `gapless serve` in a process of its own."""

from __future__ import annotations

import http.client
import os
import sys
from pathlib import Path
from time import monotonic
from typing import TYPE_CHECKING, Literal, Self

from anyio import to_thread

from tests.testkit.alarm import Alarm, until
from tests.testkit.certificates import NOBODY
from tests.testkit.forked import AVAILABLE
from tests.testkit.isolation import isolated
from tests.testkit.port import free_port
from tests.testkit.process import Process

if TYPE_CHECKING:
    from collections.abc import Mapping

Server = Literal["gapless", "uvicorn"]

_IN_USE = ("address already in use", "in use")


class Service:
    """One running service. `with Service({...}) as service:` or `async with` starts and kills it.

    `env`: its settings, as `{"REDIS_URL": valkey.url, "GAPLESS_LIFETIME": "1.2"}`; of this process's
    environment it gets what is not the product's. `server`: `gapless serve`, or `uvicorn
    gapless.asgi:app`. `args`: further options, as `("--workers", "2")`. The port is chosen at
    the first start and kept, so that clients find it again after `restart`. `gapless serve` without
    further options is a fork of a process that has imported it already (`tests/testkit/forked.py`),
    unless `fork=False`.
    The plain methods block for as long as a start takes; those that begin with `a` do not block the loop.
    """

    def __init__(
        self,
        env: Mapping[str, str] | None = None,
        *,
        args: tuple[str, ...] = (),
        server: Server = "gapless",
        port: int | None = None,
        cwd: Path | None = None,
        fork: bool = True,
    ) -> None:
        self.env = dict(env or {})
        self.port = port
        self._args = args
        self._server = server
        self._cwd = cwd
        self._fork = fork
        self._process: Process | None = None
        self.started = 0.0
        """When the present (or last) process was started (`time.monotonic`)."""

    @property
    def url(self) -> str:
        """`http://127.0.0.1:PORT`, no slash at the end."""
        assert self.port is not None, "not started yet"
        return f"http://127.0.0.1:{self.port}"

    @property
    def process(self) -> Process:
        """The present (or last) process."""
        assert self._process is not None, "never started"
        return self._process

    @property
    def pid(self) -> int:
        return self.process.pid

    @property
    def log(self) -> str:
        """What the present (or last) process has printed."""
        return self.process.log

    @property
    def alive(self) -> bool:
        return self._process is not None and self._process.returncode is None

    def start(self, *, alarm: float = 60.0) -> None:
        """Start, and return when it has printed its URL and `/healthz` says 200; Alarm with its log if not."""
        assert not self.alive, "already running"
        chosen = self.port is None
        self.port = self.port or free_port()
        try:
            self._start_on(self.port, alarm)
        except Alarm:
            taken = any(words in self.log.lower() for words in _IN_USE)
            self.kill()
            if not (chosen and taken):
                raise
            self.port = free_port()
            self._start_on(self.port, alarm)

    def _start_on(self, port: int, alarm: float) -> None:
        self.started = monotonic()
        # One certificate to read, and not a hundred and forty: it asks nobody but this machine.
        env = {"SSL_CERT_FILE": str(NOBODY), **isolated(os.environ), **self.env}
        argv, function = self._argv(port), self._function()
        self._process = process = Process(f"service {port}", argv, env=env, cwd=self._cwd, function=function)
        process.wait_for_line(rf"http://127\.0\.0\.1:{port}\b", alarm=alarm)
        until(self._healthy, f"{self.url}/healthz says 200", alarm=alarm)

    def _argv(self, port: int) -> list[str]:
        where = ["--host", "127.0.0.1", "--port", str(port), *self._args]
        if self._server == "uvicorn":
            return [sys.executable, "-m", "uvicorn", "gapless.asgi:app", *where]
        return [str(Path(sys.executable).with_name("gapless")), "serve", *where]

    def _function(self) -> str | None:
        """What a fork is to run, or None where the command itself is needed: for workers, or Python set otherwise."""
        by_itself = self._args or self._server != "gapless" or any(name.startswith("PYTHON") for name in self.env)
        return "gapless.cli:main" if AVAILABLE and self._fork and not by_itself else None

    def _healthy(self) -> bool:
        if not self.alive:
            raise Alarm(f"the service ended while it started:\n{self.log}")
        return self._says_200("/healthz")

    def _says_200(self, path: str) -> bool:
        connection = http.client.HTTPConnection("127.0.0.1", self.port, timeout=5)  # httpx reads certificates for this
        try:
            connection.request("GET", path)
            return connection.getresponse().status == 200
        except (OSError, http.client.HTTPException):
            return False
        finally:
            connection.close()

    def checked(self) -> Self:
        """Wait until the check of its store, with which it starts, is over: from then on, commands may be counted."""
        until(lambda: self._says_200("/readyz"), f"{self.url}/readyz says 200", alarm=30.0)
        return self

    def kill(self) -> None:
        """SIGKILL, workers too."""
        self.process.kill()

    def terminate(self, *, alarm: float = 40.0) -> int:
        """SIGTERM, as a platform does; the exit code. Alarm if it takes longer."""
        return self.process.terminate(alarm=alarm)

    def pause(self) -> None:
        """SIGSTOP: frozen with its sockets open."""
        self.process.pause()

    def resume(self) -> None:
        """SIGCONT."""
        self.process.resume()

    def restart(self, env: Mapping[str, str] | None = None) -> None:
        """Kill it if it still runs, and start it cold on the same port, with `env` instead of the old one if given."""
        self.kill()
        self.env = self.env if env is None else dict(env)
        self.start()

    async def astart(self) -> None:
        await to_thread.run_sync(self.start)

    async def akill(self) -> None:
        await to_thread.run_sync(self.kill)

    async def aterminate(self) -> int:
        return await to_thread.run_sync(self.terminate)

    async def arestart(self, env: Mapping[str, str] | None = None) -> None:
        await to_thread.run_sync(self.restart, env)

    def close(self) -> None:
        """Kill it if it was ever started."""
        if self._process is not None:
            self._process.kill()

    def __enter__(self) -> Self:
        self.start()
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    async def __aenter__(self) -> Self:
        await self.astart()
        return self

    async def __aexit__(self, *_: object) -> None:
        await to_thread.run_sync(self.close)
