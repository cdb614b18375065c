"""Folders, users and servers for the tests of the embedded Valkey."""

from __future__ import annotations

import contextlib
import os
import shutil
import signal
import sys
import tempfile
from pathlib import Path
from typing import TYPE_CHECKING

from gapless.stores.embedded.folder import held
from gapless.stores.embedded.resp import ask
from tests.testkit.alarm import until
from tests.testkit.forked import AVAILABLE
from tests.testkit.need import need
from tests.testkit.process import Process

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from gapless.stores.embedded.valkey import EmbeddedValkey


def user(folder: Path, gate: Path, env: dict[str, str] | None = None) -> Process:
    """A process that starts the Valkey of `folder` once nobody holds `gate`, says how, and waits for SIGTERM.

    A fork, unless it has an environment of its own.
    """
    argv = [sys.executable, "-m", "tests.stores.embedded.user", str(folder), str(gate)]
    function = "tests.stores.embedded.user:main" if AVAILABLE and not env else None
    return Process("user", argv, env={**os.environ, **(env or {})}, function=function)


def outcome(process: Process) -> tuple[str, int]:
    """How its start went: (`joined` or `started`, pid of the server)."""
    found = process.wait_for_line(r"^(joined|started) (\d+)$")
    return found[1], int(found[2])


@contextlib.contextmanager
def private_folder() -> Iterator[Path]:
    """A short path that does not exist yet; whatever runs on it in the end is killed."""
    home = Path(tempfile.mkdtemp(prefix="gapless-")).resolve()
    try:
        yield home / "data"
    finally:
        for pid in _servers(lambda place: home in place.parents):
            os.kill(pid, signal.SIGKILL)
        until(lambda: not _servers(lambda place: home in place.parents), "no server is left")
        shutil.rmtree(home)


def kill_server(use: EmbeddedValkey) -> None:
    """Kill it, as the kernel does where memory runs out."""
    os.kill(use.pid, signal.SIGKILL)
    until(lambda: not use.alive(), "the server is dead")


def servers(folder: Path) -> list[int]:
    """The pids of all Valkeys that run in `folder`, whoever started them and whether or not they answer."""
    return _servers(lambda place: place == folder)


def _servers(where: Callable[[Path], bool]) -> list[int]:
    need(Path("/proc/self/cwd").exists(), "/proc, to count the servers of a folder")
    return [pid for pid in _pids() if _is_server(pid, where)]


def _pids() -> list[int]:
    return [int(entry.name) for entry in Path("/proc").iterdir() if entry.name.isdigit()]


def _is_server(pid: int, where: Callable[[Path], bool]) -> bool:
    with contextlib.suppress(OSError):
        home = Path(f"/proc/{pid}/cwd").readlink()
        name = Path(f"/proc/{pid}/comm").read_text().strip()
        state = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0]
        return where(home) and name.startswith("valkey") and state != "Z"
    return False


def command(folder: Path, *words: str) -> str:
    """One command to the server of `folder`."""
    return ask((folder / "server.lock").read_text(), *words)


def runs(folder: Path) -> bool:
    return held(folder / "server.lock")
