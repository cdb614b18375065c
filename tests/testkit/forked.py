"""Starts of the product at a tenth of their price: forks of a process that has imported it already.

What a test sees of such a process is that of one started by itself: a session, output, environment, folder, signals and
exit code of its own. Not shown is the import, and what the command line of the process looks like from outside.
"""

from __future__ import annotations

import atexit
import json
import os
import select
import socket
import subprocess
import sys
import threading
from concurrent.futures import ThreadPoolExecutor
from functools import cache
from pathlib import Path
from subprocess import CompletedProcess
from typing import TYPE_CHECKING

from tests.testkit.leftovers import KEPT

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence
    from typing import IO

ROOT = Path(__file__).resolve().parent.parent.parent
AVAILABLE = sys.platform == "linux"
"""Elsewhere, libraries that were imported before a fork may not work after it."""

_one_at_a_time = threading.Lock()


class Forked:
    """A child of the fork server: what `Process` uses of a `subprocess.Popen`."""

    def __init__(
        self,
        function: str,
        argv: Sequence[str],
        *,
        env: Mapping[str, str] | None = None,
        cwd: Path | None = None,
        text: bytes | None = None,
        errors_apart: bool = False,
    ) -> None:
        """Run `function` ("module:name"), whose result is the exit code as `sys.exit` takes it, with that `sys.argv`.

        `env` replaces the whole environment; `text` is its standard input, through a pipe. With `errors_apart` what it
        writes to standard error comes on `stderr`, else on `stdout`.
        """
        order = {"function": function, "argv": list(argv), "env": dict(os.environ if env is None else env)}
        order["cwd"] = str(cwd or Path.cwd())
        self._told, telling = socket.socketpair(socket.AF_UNIX, socket.SOCK_SEQPACKET)
        given = os.open(os.devnull, os.O_RDONLY) if text is None else _filled(text)
        self.stdout, output = _pipe()
        self.stderr, errors = _pipe() if errors_apart else (None, os.dup(output))
        with telling:
            try:
                with _one_at_a_time:
                    descriptors = [given, output, errors, telling.fileno()]
                    socket.send_fds(_server(), [json.dumps(order).encode()], descriptors)
            finally:
                for descriptor in (given, output, errors):
                    os.close(descriptor)
        told = self._told.recv(32)
        assert told, "the fork server has ended; the output of the test run says why"
        self.pid = int(told)
        self.returncode: int | None = None
        self._looking = threading.Lock()

    def poll(self) -> int | None:
        """As Popen's: the exit code, -N for death by signal N, None while it runs."""
        with self._looking:
            if self.returncode is None and _readable(self._told, 0):
                told = self._told.recv(32)
                self.returncode = int(told) if told else -9  # with its server, whose end nobody tells
                self._told.close()
        return self.returncode

    def wait(self, timeout: float | None = None) -> int:
        """As Popen's; subprocess.TimeoutExpired after `timeout` seconds."""
        while self.poll() is None:
            if not _readable(self._told, timeout):
                raise subprocess.TimeoutExpired("a fork", timeout or 0)
        assert self.returncode is not None
        return self.returncode


def run(function: str, argv: Sequence[str], *, env: Mapping[str, str], text: str = "") -> CompletedProcess[str]:
    """As `subprocess.run` with captured output, for a function; subprocess.TimeoutExpired after a minute."""
    forked = Forked(function, argv, env=env, text=text.encode(), errors_apart=True)
    assert forked.stdout and forked.stderr
    with ThreadPoolExecutor(1) as beside, forked.stdout as output, forked.stderr as errors:
        told = beside.submit(errors.read)
        written = output.read()
        return CompletedProcess(argv, forked.wait(60), written.decode(), told.result().decode())


def _pipe() -> tuple[IO[bytes] | None, int]:
    """Where to read, and the descriptor to write to."""
    end, output = os.pipe()
    return os.fdopen(end, "rb"), output


def _filled(text: bytes) -> int:
    """The descriptor of a pipe's end that holds this text, which has to fit into it."""
    given, fill = os.pipe()
    with os.fdopen(fill, "wb") as pipe:
        pipe.write(text)
    return given


def _readable(told: socket.socket, timeout: float | None) -> bool:
    poll = select.poll()  # select.select knows no descriptor above 1,023
    try:
        poll.register(told, select.POLLIN)
    except ValueError:  # another thread has heard of the end, and closed it
        return True
    return bool(poll.poll(None if timeout is None else timeout * 1000))


@cache
def _server() -> socket.socket:
    """One for this process, with which it ends."""
    ours, theirs = socket.socketpair(socket.AF_UNIX, socket.SOCK_SEQPACKET)
    argv = [sys.executable, "-m", "tests.testkit.fork_server", str(theirs.fileno())]
    with theirs:
        server = subprocess.Popen(
            argv, stdin=subprocess.DEVNULL, cwd=ROOT, pass_fds=[theirs.fileno()], start_new_session=True
        )
    KEPT.add(server.pid)
    atexit.register(_end, server, ours)
    return ours


def _end(server: subprocess.Popen[bytes], orders: socket.socket) -> None:
    orders.close()
    server.wait()
