"""One child process of a test: its output kept line by line, its end certain."""

from __future__ import annotations

import os
import re
import signal
import subprocess
import threading
from contextlib import suppress
from typing import TYPE_CHECKING, ClassVar, Self

from tests.testkit import guardian
from tests.testkit.alarm import Alarm
from tests.testkit.forked import Forked

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence
    from pathlib import Path


_LOOK, _LOOKS = 0.01, 100
"""Seconds, and how often, for which the end of the output is waited for once the child has ended."""


class Process:
    """A child in a session of its own, so that signals reach its workers too and Ctrl-C does not.

    Output (stdout and stderr together) is read by a thread, so no pipe can fill up; `log` holds it.
    The last lines of each process that a test started are shown when the test fails.
    """

    started: ClassVar[list[Process]] = []
    """Those started since the present test began; `tests/conftest.py` empties and prints it."""

    def __init__(
        self,
        name: str,
        argv: Sequence[str],
        *,
        env: Mapping[str, str] | None = None,
        cwd: Path | None = None,
        inherit: tuple[int, ...] = (),
        function: str | None = None,
    ) -> None:
        """Start `argv`. `env` replaces the whole environment; `inherit` are descriptors it may keep.

        `function`: run this one ("module:name") with `argv` in a fork of a process that has imported the product.
        """
        self.name = name
        self._lines: list[str] = []
        self._ended = False
        self._changed = threading.Condition()
        self._popen = Forked(function, argv, env=env, cwd=cwd) if function else _spawn(argv, env, cwd, inherit)
        guardian.born(self.pid)
        self._reader = threading.Thread(target=self._read, name=f"output of {name}", daemon=True)
        self._reader.start()
        Process.started.append(self)

    def _read(self) -> None:
        assert self._popen.stdout is not None
        with self._popen.stdout as pipe:
            for line in pipe:
                with self._changed:
                    self._lines.append(line.decode(errors="replace").rstrip("\r\n"))
                    self._changed.notify_all()
        with self._changed:
            self._ended = True
            self._changed.notify_all()

    @property
    def pid(self) -> int:
        return self._popen.pid

    @property
    def returncode(self) -> int | None:
        """The exit code, -N for death by signal N, None while it runs."""
        return self._popen.poll()

    @property
    def ended(self) -> bool:
        """It has closed its output, so `log` is complete."""
        with self._changed:
            return self._ended

    @property
    def log(self) -> str:
        """All output so far."""
        with self._changed:
            return "\n".join(self._lines)

    def lines(self, start: int = 0) -> list[str]:
        """The lines of output so far, from number `start` on."""
        with self._changed:
            return self._lines[start:]

    def tail(self, lines: int = 60) -> str:
        """The last lines of the output."""
        with self._changed:
            return "\n".join(self._lines[-lines:])

    def wait_for_line(self, pattern: str, *, alarm: float = 60.0) -> re.Match[str]:
        """The first match of the regex `pattern` in a line of output, past or coming.

        Alarm after `alarm` seconds, and at once if the output ends without it.
        """
        regex, looked_at = re.compile(pattern), 0
        found: re.Match[str] | None = None

        def look() -> bool:
            nonlocal looked_at, found
            for line in self._lines[looked_at:]:
                found = found or regex.search(line)
            looked_at = len(self._lines)
            return found is not None or self._ended

        with self._changed:
            self._changed.wait_for(look, alarm)
        if found is None:
            why = f"ended ({self.wait()})" if self._ended else f"{alarm:g} s passed"
            raise Alarm(f"{self.name}: {why} without a line like {pattern!r}:\n{self.log}")
        return found

    def signal(self, number: signal.Signals) -> None:
        """Send a signal to the process and all it started in its session; nothing if it is gone."""
        if self._popen.poll() is None:
            with suppress(ProcessLookupError):  # a fork is buried by its server, not by us
                os.killpg(self.pid, number)

    def pause(self) -> None:
        """SIGSTOP: it keeps its sockets and answers nothing."""
        self.signal(signal.SIGSTOP)

    def resume(self) -> None:
        """SIGCONT."""
        self.signal(signal.SIGCONT)

    def kill(self) -> None:
        """SIGKILL, and wait until it is gone."""
        self.signal(signal.SIGKILL)
        self.wait()

    def terminate(self, *, alarm: float = 40.0) -> int:
        """SIGTERM, and return the exit code; after `alarm` seconds SIGKILL and Alarm."""
        self.signal(signal.SIGTERM)
        self.resume()
        return self.wait(alarm=alarm)

    def wait(self, *, alarm: float = 40.0) -> int:
        """Wait for the end; the exit code. After `alarm` seconds SIGKILL and Alarm."""
        try:
            code = self._popen.wait(alarm)
        except subprocess.TimeoutExpired:
            self.signal(signal.SIGKILL)
            self._popen.wait()
            raise Alarm(f"{self.name} did not end within {alarm:g} s:\n{self.log}") from None
        finally:
            guardian.gone(self.pid)
        # Children that inherited the pipe may keep it open: the reader is a daemon, and may be left to it. A second in
        # which this process itself stood still is none in which it could read.
        for _ in range(_LOOKS):
            self._reader.join(_LOOK)
        return code

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.kill()


def _spawn(
    argv: Sequence[str], env: Mapping[str, str] | None, cwd: Path | None, inherit: tuple[int, ...]
) -> subprocess.Popen[bytes]:
    return subprocess.Popen(
        argv,
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        env=None if env is None else dict(env),
        cwd=cwd,
        pass_fds=inherit,
        start_new_session=True,
    )
