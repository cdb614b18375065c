"""Servers under measurement: each in a process of its own under uvicorn, on a real Valkey where it needs one."""

from __future__ import annotations

import os
import socket
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, contextmanager
from pathlib import Path

import httpx

from gapless.stores.embedded.valkey import EmbeddedValkey


class Server:
    """A running server; `cpu` in seconds and `memory` in KiB so far."""

    def __init__(self, process: subprocess.Popen[bytes], url: str) -> None:
        self._process = process
        self.url = url
        self.sent: Callable[[], int] = lambda: 0
        """Bytes that its Redis has sent so far; 0 where nobody counts them."""

    @property
    def cpu(self) -> float:
        """Seconds of processor time, user and system."""
        fields = Path(f"/proc/{self._process.pid}/stat").read_text().rpartition(")")[2].split()
        return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")

    @property
    def memory(self) -> int:
        """Resident KiB."""
        pages = int(Path(f"/proc/{self._process.pid}/statm").read_text().split()[1])
        return pages * os.sysconf("SC_PAGE_SIZE") // 1024


def serving(app: str, env: dict[str, str] | None = None) -> AbstractContextManager[Server]:
    """uvicorn with `app`, until the block ends."""
    return _running([sys.executable, "-m", "uvicorn", app, "--no-access-log", "--log-level", "error"], env or {})


def gapless_serve(env: dict[str, str]) -> AbstractContextManager[Server]:
    """`gapless serve`, until the block ends."""
    return _running([str(Path(sys.executable).with_name("gapless")), "serve"], env)


def node_serve(script: Path, env: dict[str, str]) -> AbstractContextManager[Server]:
    """Node with `script`, until the block ends."""
    return _running(["node", str(script)], env)


@contextmanager
def _running(argv: list[str], env: dict[str, str]) -> Iterator[Server]:
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = taken.getsockname()[1]
    process = subprocess.Popen(
        [*argv, "--port", str(port)],
        env={**os.environ, **env},
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
    )
    try:
        wait(f"http://127.0.0.1:{port}/healthz")
        yield Server(process, f"http://127.0.0.1:{port}")
    finally:
        process.terminate()
        process.wait(30)


@contextmanager
def valkey() -> Iterator[str]:
    """The URL of a Valkey of this run's own."""
    with tempfile.TemporaryDirectory() as folder:
        use = EmbeddedValkey.start(Path(folder))
        try:
            yield use.url
        finally:
            use.stop()


def wait(url: str) -> None:
    """Return once the server answers."""
    until = time.monotonic() + 30
    while time.monotonic() < until:
        try:
            if httpx.get(url).status_code == 200:
                return
        except httpx.TransportError:
            time.sleep(0.05)
    raise TimeoutError(f"{url} did not come up")
