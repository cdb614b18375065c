"""The default store of a local run: a real Valkey on a private unix socket, shared by all who use one data folder.

Two locks in the folder decide everything. The kernel releases a lock when its holder ends, however it ends:

- `server.lock` is held by the Valkey process itself, which inherits it. So two servers can never run on one folder
  (both would start, and lose writes), no recycled pid can be mistaken for our server, and nothing has to be cleaned up.
- `users.lock` is held by every user, shared. A user that ends and can take the lock alone is the last one, and stops
  the server.

A server whose users were all killed goes on running, and the next user adopts it.
"""

from __future__ import annotations

import contextlib
import logging
import os
import shutil
import threading
import time
from pathlib import Path
from typing import TYPE_CHECKING
from urllib.parse import quote

from gapless.stores.embedded.answer import answer_of, socket_of
from gapless.stores.embedded.folder import EmbeddedUnavailable, held, is_at, locked, own_folder, socket_path, take
from gapless.stores.embedded.resp import ask
from gapless.stores.embedded.server import LOG_NAME, binary, last_words, spawn

if TYPE_CHECKING:
    import subprocess
    from collections.abc import Iterator

__all__ = ["EmbeddedUnavailable", "EmbeddedValkey"]

_log = logging.getLogger("gapless.embedded")

_STOP_LIMIT = 10.0
"""Seconds for which the last user waits for the server to end: a slow disk may need some."""

_LOOK = 0.01
"""Seconds between two looks at a lock or socket: neither can be waited for with a time limit."""


class EmbeddedValkey:
    """One use of the Valkey of one folder. Begun by `start`, ended by `stop`; every use counts for itself.

    `url`: what redis-py connects to. `folder`: absolute. `joined`: the server ran already.
    """

    url: str
    joined: bool

    def __init__(self, folder: Path) -> None:
        """Starts nothing; call `start`."""
        self.folder = folder
        self._users: int | None = None
        self._process: subprocess.Popen[bytes] | None = None
        self._pid = 0
        self._known: Path | None = None
        self._guard = threading.Lock()

    @property
    def pid(self) -> int:
        """The server's process, which another user may have started again; the last one known if it is dead."""
        answer = answer_of(self.folder)
        return self._pid if answer is None else answer.pid

    @classmethod
    def start(cls, folder: Path, *, deadline: float = 10.0) -> EmbeddedValkey:
        """Start, join or adopt the server of `folder`, which is made where it is missing (mode 0700).

        `deadline`: seconds for which nothing may answer; a server that says it is loading gets 12 times as long.
        Raises EmbeddedUnavailable, and then uses nothing.
        """
        binary()
        use = cls(folder.expanduser().absolute())
        try:
            with use._sentences():
                use.folder = own_folder(use.folder)
                use._count_in(deadline)
                use._reach(deadline)
                use.joined = use._process is None
        except BaseException:
            use.stop()
            raise
        return use

    @classmethod
    def of_last_user(cls, folder: Path, users: int) -> EmbeddedValkey:
        """The use of a process that has ended. `users`: the open lock of the folder's users, held alone."""
        use = cls(folder)
        use._users = users
        return use

    def alive(self) -> bool:
        """Whether the server runs. Costs a few system calls."""
        return held(self.folder / "server.lock") or answer_of(self.folder) is not None

    def ensure(self, *, deadline: float = 10.0) -> None:
        """Return once the server answers; if it died, start it again on the same data. Does nothing after `stop`.

        Any user may call it, from any thread: one will start it. Raises EmbeddedUnavailable.
        """
        with self._guard, self._sentences():
            if self._users is not None:
                self._reach(deadline)

    def stop(self) -> None:
        """Use it no longer. The last user ends the server, which writes out its file first. Idempotent."""
        with self._guard:
            users, self._users = self._users, None
            if users is None:
                return
            try:
                if locked(users, exclusive=True):
                    self._shut_down(users)
            finally:
                os.close(users)
                self._process = None

    @contextlib.contextmanager
    def _sentences(self) -> Iterator[None]:
        """Turns an OSError into an EmbeddedUnavailable that says what to do."""
        try:
            yield
        except OSError as error:
            raise EmbeddedUnavailable(
                f"The embedded Valkey can't use its data folder {self.folder}: {error.strerror or error}. Choose "
                "another with GAPLESS_DATA_DIR, or set REDIS_URL."
            ) from error

    def _count_in(self, deadline: float) -> None:
        """Become a user, once nobody is stopping the server."""
        end = time.monotonic() + deadline
        while (users := take(self.folder / "users.lock", exclusive=False)) is None:
            if time.monotonic() > end:
                raise EmbeddedUnavailable(
                    f"The embedded Valkey of {self.folder} is being stopped by another process, which does not "
                    "come to an end. End that process, or choose another folder with GAPLESS_DATA_DIR."
                )
            time.sleep(_LOOK)
        self._users = users

    def _reach(self, deadline: float) -> None:
        """Return once the server of our folder answers: the one that runs, or one that we start."""
        launched = False
        now = time.monotonic()
        end, very_end = now + deadline, now + 12 * deadline
        while (answer := answer_of(self.folder)) is None or answer.loading:
            if answer is not None:
                end = min(time.monotonic() + deadline, very_end)
            elif (lock := take(self.folder / "server.lock", exclusive=True)) is not None:
                self._launch(lock, again=launched)
                launched = True
            if time.monotonic() > end:
                raise EmbeddedUnavailable(self._silence(deadline, launched))
            time.sleep(_LOOK)
        self._known = Path(socket_of(self.folder))
        self.url = "unix://" + quote(os.fsencode(self._known))
        self._pid = answer.pid

    def _launch(self, lock: int, *, again: bool) -> None:
        """Start a server that holds `lock` from now on. Not again: if the lock is free, the first one has died."""
        try:
            if again and self._process is not None:
                raise EmbeddedUnavailable(self._death(self._process.wait()))
            socket = self._known or socket_path(self.folder)  # its clients go on calling where it was
            os.ftruncate(lock, 0)
            os.pwrite(lock, os.fsencode(socket), 0)
            self._process = spawn(self.folder, socket, lock)
        finally:
            os.close(lock)

    def _shut_down(self, users: int) -> None:
        """Nobody else uses it, and nobody can come while we hold `users` alone."""
        end = time.monotonic() + _STOP_LIMIT
        while self._runs(users):
            if refusal := self._ask_to_end(users):
                _log.warning("the embedded Valkey of %s refuses to stop (%s) and runs on", self.folder, refusal)
                return
            if time.monotonic() > end:
                _log.warning("the embedded Valkey of %s does not stop; its log may say why", self.folder)
                return
            time.sleep(_LOOK)
        with contextlib.suppress(OSError):
            Path(socket_of(self.folder)).parent.rmdir()  # the runtime folder; our own is not empty

    def _runs(self, users: int) -> bool:
        """Whether a server is there that is ours to end: our child, or, started by another user, who holds the lock."""
        if self._process is not None and self._process.poll() is None:
            return True
        return self._is_ours(users) and held(self.folder / "server.lock")

    def _ask_to_end(self, users: int) -> str:
        """Ask, also one that has just been started and does not listen yet; what it says if it refuses."""
        try:
            # If the folder was deleted and made anew, the server at its socket belongs to another user.
            if self._is_ours(users):
                return ask(socket_of(self.folder), "SHUTDOWN", timeout=_STOP_LIMIT)
        except (OSError, ValueError):
            pass
        if self._process is not None:
            self._process.terminate()
        return ""

    def _is_ours(self, users: int) -> bool:
        return is_at(users, self.folder / "users.lock")

    def _silence(self, deadline: float, launched: bool) -> str:
        if launched:
            return (
                f"The embedded Valkey did not answer within {deadline:g} s; {self.folder / LOG_NAME} says what it "
                "does. Try again, or set REDIS_URL to another server."
            )
        return (
            f"A Valkey runs on {self.folder}, but does not answer at {socket_of(self.folder)}. End it (it "
            f"holds {self.folder / 'server.lock'}), or choose another folder with GAPLESS_DATA_DIR."
        )

    def _death(self, code: int) -> str:
        full = " The disk is full." if shutil.disk_usage(self.folder).free < 65_536 else ""
        return (
            f"The embedded Valkey ended while it started (code {code}): "
            f"{last_words(self.folder) or 'it left no word'}.{full} Put that right (the log is "
            f"{self.folder / LOG_NAME}), choose another folder with GAPLESS_DATA_DIR, or set REDIS_URL."
        )
