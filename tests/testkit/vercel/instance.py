"""One running function: the process that Vercel's runtime starts, and what it says on its socket."""

from __future__ import annotations

import asyncio
import base64
import json
import signal
import tempfile
from pathlib import Path
from typing import TYPE_CHECKING, Any, Self

from tests.testkit.alarm import auntil
from tests.testkit.process import Process

if TYPE_CHECKING:
    from collections.abc import Mapping

    from tests.testkit.vercel.bundle import Bundle

# A message holds one line of log at most; Vercel's own limit for a line is 256 KB.
_LONGEST_MESSAGE = 4 * 1024 * 1024

# What the platform sets for every function. Functions may run on Lambda machines, whose variables then
# show as well: a service that asks where it runs must find Vercel.
_PLATFORM = {
    "VERCEL": "1",
    "VERCEL_ENV": "production",
    "VERCEL_REGION": "iad1",
    "VERCEL_URL": "gapless-local.vercel.app",
    "VERCEL_DEPLOYMENT_ID": "dpl_local",
    "AWS_REGION": "us-east-1",
    "AWS_LAMBDA_FUNCTION_NAME": "vercel-function",
    "LANG": "en_US.UTF-8",
    "TZ": ":UTC",
    "PATH": "/usr/local/bin:/usr/bin:/bin",
}


class Instance:
    """A started function. `port` is None until it serves, and for ever if it failed to start."""

    def __init__(self, bundle: Bundle, env: Mapping[str, str], *, name: str, freeze: bool) -> None:
        self.name = name
        self.port: int | None = None
        self.cold_start = 0
        """Milliseconds from the start of Python to the open port, as the runtime counts them."""
        self.failure: str | None = None
        """Why it cannot start at all (an exception at import), as it told the platform."""
        self.running: set[str] = set()
        """Request ids whose handler has begun and not ended, whether or not anyone still listens."""
        self.handled = 0
        """Requests whose handler has ended."""
        self.freezes = 0
        """How often the platform stopped it for want of requests."""
        self._bundle, self._env, self._freeze = bundle, env, freeze
        self._relayed = 0
        self._folder = tempfile.TemporaryDirectory(prefix="vercel-")
        self._socket: asyncio.Server | None = None
        self._listening: asyncio.Task[None] | None = None
        self._process: _Process | None = None

    async def start(self) -> Self:
        """Start it; return when it serves or is gone. Alarm after a minute."""
        path = str(Path(self._folder.name) / "ipc")
        self._socket = await asyncio.start_unix_server(self._connected, path, limit=_LONGEST_MESSAGE)
        home = {"HOME": self._folder.name, "TMPDIR": self._folder.name}
        configured = self._bundle.config.get("environment", {})
        self._process = _Process(
            self.name,
            [str(self._bundle.python), self._bundle.config["handler"].rsplit(".", 1)[0] + ".py"],
            env={**_PLATFORM, **home, **configured, **self._env, "VERCEL_IPC_PATH": path},
            cwd=self._bundle.root,
        )
        await auntil(lambda: self.port or not self.alive, f"{self.name} serves", alarm=60)
        return self

    @property
    def process(self) -> Process:
        assert self._process is not None, "not started"
        return self._process

    @property
    def alive(self) -> bool:
        return self._process is not None and self._process.returncode is None

    @property
    def log(self) -> str:
        """What it logged, printed and wrote to stderr so far."""
        return self.process.log

    def enter(self) -> None:
        """A request is on its way to it: it runs, if it was frozen."""
        self._relayed += 1
        self.process.resume()

    def leave(self) -> None:
        """Nobody waits for that request's answer any more; its handler may still run."""
        self._relayed -= 1
        self._freeze_if_idle()

    async def stop(self, number: signal.Signals, grace: float) -> int:
        """Send the signal; SIGKILL `grace` seconds later if it still runs. The exit code, -N for signal N."""
        self.process.signal(number)
        self.process.resume()
        try:
            await auntil(lambda: not self.alive, f"{self.name} ends", alarm=grace)
        except AssertionError:
            self.process.signal(signal.SIGKILL)
        code = await asyncio.to_thread(self.process.wait)
        await self._close()
        return code

    async def _close(self) -> None:
        if self._listening is not None:
            await self._listening
        if self._socket is not None:
            self._socket.close()
        self._folder.cleanup()

    def _connected(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self._listening = asyncio.create_task(self._listen(reader, writer))

    async def _listen(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        """Read its messages, each JSON that ends in a NUL byte, until it is gone."""
        try:
            while True:
                message = json.loads((await reader.readuntil(b"\0"))[:-1])
                self._heard(message["type"], message["payload"])
        except (asyncio.IncompleteReadError, ConnectionError):
            writer.close()

    def _heard(self, kind: str, said: dict[str, Any]) -> None:
        if kind == "server-started":
            self.port, self.cold_start = said["httpPort"], said["initDuration"]
            self._freeze_if_idle()
        elif kind == "handler-started":
            self.running.add(said["context"]["invocationId"])
        elif kind == "end":
            self.running.discard(said["context"]["invocationId"])
            self.handled += 1
            self._freeze_if_idle()
        elif kind == "log" and self._process is not None:
            self._process.say(base64.b64decode(said["message"]).decode())
        elif kind == "unrecoverable-error":
            self.failure = said["message"]

    def _freeze_if_idle(self) -> None:
        if self._freeze and self.port and not self._relayed and not self.running:
            self.freezes += 1
            self.process.pause()


class _Process(Process):
    """Its log is what it wrote, and what it told the platform to log."""

    def say(self, text: str) -> None:
        with self._changed:
            self._lines.extend(text.splitlines())
            self._changed.notify_all()
