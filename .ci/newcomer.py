"""What a newcomer does, done and timed: clone, `make run`, read in one terminal, post in another.

As a user who owns nothing (where this runs as root), with an environment that holds only PATH and HOME. Then SIGTERM,
and a second start that still knows the message.
"""

import contextlib
import json
import os
import pwd
import queue
import random
import re
import shutil
import signal
import socket
import subprocess
import sys
import tempfile
import threading
import time
from collections.abc import Iterator
from pathlib import Path

TREE = Path(__file__).resolve().parent.parent
NEWCOMER = pwd.getpwnam("nobody") if os.getuid() == 0 else None
MESSAGE = {"data": {"text": "hi"}}
PATIENCE = 60.0
"""Seconds for what comes at once: the soak is at work beside it."""


class Terminal:
    """One command of the newcomer's, and the lines it has printed."""

    def __init__(self, home: Path, folder: Path, *command: str, **variables: str) -> None:
        self.command = " ".join(command)
        self.process = subprocess.Popen(
            command,
            cwd=folder,
            env={"PATH": "/usr/bin:/bin", "HOME": str(home), **variables},
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
            start_new_session=True,
            user=NEWCOMER.pw_uid if NEWCOMER else None,
            group=NEWCOMER.pw_gid if NEWCOMER else None,
            extra_groups=[] if NEWCOMER else None,
        )
        self.lines: queue.Queue[str | None] = queue.Queue()
        threading.Thread(target=self._read, daemon=True).start()

    def _read(self) -> None:
        assert self.process.stdout
        for line in self.process.stdout:
            print(f"    {line.rstrip()}\n", end="", flush=True)  # one write: other threads print, too
            self.lines.put(line)
        self.lines.put(None)

    def until(self, pattern: str, seconds: float) -> re.Match[str]:
        """The first match in a line not yet looked at; ends the run when there is none within `seconds`."""
        end = time.monotonic() + seconds
        while True:
            try:
                line = self.lines.get(timeout=max(0.0, end - time.monotonic()))
            except queue.Empty:
                sys.exit(f"`{self.command}` did not print {pattern!r} within {seconds:g} s")
            if line is None:
                sys.exit(f"`{self.command}` ended without printing {pattern!r}")
            if match := re.search(pattern, line):
                return match

    def stop(self, seconds: float = PATIENCE) -> float:
        """SIGTERM to the command alone, as a supervisor sends it; how many seconds it took to end."""
        start = time.monotonic()
        self.process.terminate()
        try:
            self.process.wait(seconds)
        except subprocess.TimeoutExpired:
            sys.exit(f"`{self.command}` did not end within {seconds:g} s of SIGTERM")
        return time.monotonic() - start

    def result(self, seconds: float) -> None:
        if self.process.wait(seconds):
            sys.exit(f"`{self.command}` failed")


class Newcomer:
    """A home, a clone of the project in it, and a free port."""

    def __init__(self, top: Path) -> None:
        self.home = top / "home"
        self.folder = self.home / "gapless"
        self.port = free_port()
        self.url = f"http://localhost:{self.port}"
        self.home.mkdir()
        origin = top / "origin.git"
        subprocess.run(["git", "clone", "--quiet", "--bare", "--no-hardlinks", TREE, origin], check=True)
        if NEWCOMER:
            for path in (top, self.home, origin, *origin.rglob("*")):
                os.chown(path, NEWCOMER.pw_uid, NEWCOMER.pw_gid)
        self.terminal("git", "clone", "--quiet", str(origin), "gapless", folder=self.home).result(60)

    def terminal(self, *command: str, folder: Path | None = None, **variables: str) -> Terminal:
        return Terminal(self.home, folder or self.folder, *command, **variables)

    @contextlib.contextmanager
    def service(self) -> Iterator[Terminal]:
        """`make run`, from when it has printed its address until it has ended by SIGTERM."""
        start = time.monotonic()
        running = self.terminal("make", "run", PORT=str(self.port))
        try:
            running.until(rf"http://127\.0\.0\.1:{self.port}\b", 300)
            print(f"`make run` was ready after {time.monotonic() - start:.1f} s\n", end="")
            yield running
            print(f"it ended {running.stop():.1f} s after SIGTERM\n", end="")
            self.nothing_is_left_running()
        finally:
            for pid in self.processes():
                with contextlib.suppress(ProcessLookupError):  # it has ended by itself
                    os.kill(pid, signal.SIGKILL)

    def nothing_is_left_running(self) -> None:
        """No process works in the clone any more, the embedded Valkey included."""
        end = time.monotonic() + PATIENCE
        while left := self.processes():
            if time.monotonic() > end:
                sys.exit(f"left running: {[*map(command_line, left)]}")
            time.sleep(0.05)

    def processes(self) -> list[int]:
        """Those that work in the clone: the service and its Valkey, whatever group or session they are in."""
        return [pid for pid, folder in working_folders() if folder.is_relative_to(self.folder)]

    def reads_what_it_posts(self) -> Terminal:
        reader = self.terminal("curl", "-sN", f"{self.url}/channels/general/stream")
        reader.until("event: hello", PATIENCE)
        body = json.dumps(MESSAGE)
        post = ["-X", "POST", "-H", "content-type: application/json", "-d", body]
        start = time.monotonic()
        writer = self.terminal("curl", "-sS", *post, f"{self.url}/channels/general/messages")
        reader.until(r'^data: .*"text":\s*"hi"', PATIENCE)
        print(
            f"from starting `curl -X POST` to the line in the other terminal: {(time.monotonic() - start) * 1e3:.0f} ms"
        )
        writer.until('"id"', PATIENCE)
        return reader

    def finds_it_again(self) -> None:
        self.terminal("curl", "-sS", f"{self.url}/channels/general/messages").until(r'"text":\s*"hi"', PATIENCE)

    def cleans(self) -> None:
        data = self.folder / ".gapless"
        before = sorted(data.rglob("*"))
        self.terminal("make", "clean").result(60)
        if not before or sorted(data.rglob("*")) != before:
            sys.exit(f"`make clean` took from the data folder: {before}")
        if (self.folder / ".venv").exists():
            sys.exit("`make clean` left .venv")


def free_port() -> int:
    """Below the range from which the system gives out ports: what connects meanwhile, as the soak does, takes none of
    these, and it has to be free for as long as an install takes, and again at the second start.
    """
    while True:
        port = random.SystemRandom().randrange(10_240, 32_000)
        with socket.socket() as probe, contextlib.suppress(OSError):
            probe.bind(("", port))
            return port


def command_line(pid: int) -> str:
    with contextlib.suppress(OSError):
        return Path(f"/proc/{pid}/cmdline").read_text().replace("\0", " ")
    return f"{pid}, which has ended"


def working_folders() -> Iterator[tuple[int, Path]]:
    for process in Path("/proc").glob("[0-9]*"):
        with contextlib.suppress(OSError):
            yield int(process.name), (process / "cwd").readlink()


def main() -> None:
    top = Path(tempfile.mkdtemp(prefix="newcomer-"))
    top.chmod(0o755)
    try:
        newcomer = Newcomer(top)
        with newcomer.service():
            reader = newcomer.reads_what_it_posts()
        reader.until('"reason":"shutdown"', PATIENCE)
        with newcomer.service():
            newcomer.finds_it_again()
        newcomer.cleans()
    finally:
        shutil.rmtree(top)


if __name__ == "__main__":
    main()
