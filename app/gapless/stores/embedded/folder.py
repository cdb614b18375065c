"""The embedded Valkey's data folder: private, with a place for the socket, and guarded by locks that can't be stale."""

from __future__ import annotations

import contextlib
import hashlib
import os
import re
import stat
import tempfile
from pathlib import Path

from gapless.log.errors import StartupRefused

_SOCKET_LIMIT = 103
"""Bytes of a unix socket's path: 107 on Linux, 103 on macOS."""


_OF_THE_SERVER = re.compile(
    r"(server|users)\.lock|valkey\.(log(\.1)?|sock)|appendonlydir|dump\.rdb|temp-[\w.-]+|core(\.\d+)?|\.nfs\w+"
)
"""What a server makes in its folder, or leaves there: half-written, crashed, or open on NFS while it is deleted."""
_OF_THE_SYSTEM = frozenset({"lost+found", ".DS_Store", ".gitignore", ".gitkeep"})
_SHOWN = 60
"""Characters of a strange file's name that are shown."""


class EmbeddedUnavailable(StartupRefused):
    """There can be no embedded Valkey here. The message says why, and what to do."""


def own_folder(folder: Path) -> Path:
    """`folder`, made if need be, resolved, ours alone and closed to others. EmbeddedUnavailable where it is not ours.

    A link is refused, wherever it leads: a repository can hold one, into any folder of the user who starts the service.
    """
    if folder.is_symlink():
        raise EmbeddedUnavailable(
            f"The data folder {folder} is a link, to {folder.resolve()}. Delete the link, or name the folder itself "
            "with GAPLESS_DATA_DIR."
        )
    folder.mkdir(mode=0o700, parents=True, exist_ok=True)
    folder = folder.resolve()
    state = folder.stat()
    if state.st_uid != os.geteuid():
        raise EmbeddedUnavailable(
            f"The data folder {folder} belongs to another user (uid {state.st_uid}). Choose one of your own with "
            "GAPLESS_DATA_DIR, or set REDIS_URL."
        )
    if strange := _strange(folder):
        raise EmbeddedUnavailable(
            f"The data folder {folder} holds other files ({strange}). Choose a folder that holds nothing else with "
            "GAPLESS_DATA_DIR."
        )
    if stat.S_IMODE(state.st_mode) & 0o077:
        folder.chmod(0o700)
    return folder


def _strange(folder: Path) -> str:
    """The first few names of what neither the server nor the system has put there; empty where there is nothing."""
    names = sorted(entry.name for entry in folder.iterdir() if not _expected(entry))
    shown = ", ".join(ascii(name)[1:-1][:_SHOWN] for name in names[:3])
    return f"{shown}, …" if len(names) > 3 else shown


def _expected(entry: Path) -> bool:
    """Whether it is a file of the server's, and no link; or one that systems put into any folder."""
    if entry.name in _OF_THE_SYSTEM:
        return True
    try:
        state = entry.lstat()
    except FileNotFoundError:  # a running server has just put it in its place
        return True
    ours = state.st_uid == os.geteuid() and not stat.S_ISLNK(state.st_mode)
    return ours and bool(_OF_THE_SERVER.fullmatch(entry.name))


def socket_path(folder: Path) -> Path:
    """Inside the folder if the path is short enough, else in a private folder of the system's temporary one."""
    path = folder / "valkey.sock"
    if not _fits(path):
        path = _runtime_folder(folder) / "valkey.sock"
    if not _fits(path):
        raise EmbeddedUnavailable(
            f"{folder} and {path} are too long for a socket's path. Choose a shorter GAPLESS_DATA_DIR or TMPDIR."
        )
    return path


def _fits(path: Path) -> bool:
    return len(os.fsencode(path)) <= _SOCKET_LIMIT


def _runtime_folder(folder: Path) -> Path:
    name = hashlib.sha256(os.fsencode(folder)).hexdigest()[:16]
    runtime = Path(tempfile.gettempdir()) / f"gapless-{os.geteuid()}-{name}"
    runtime.mkdir(mode=0o700, exist_ok=True)
    state = runtime.lstat()
    # Anyone may write to the temporary folder: who made this one before us could exchange the socket.
    if not stat.S_ISDIR(state.st_mode) or state.st_uid != os.geteuid() or state.st_mode & 0o077:
        raise EmbeddedUnavailable(
            f"{runtime} is not a private folder of yours. Delete it, or choose a shorter GAPLESS_DATA_DIR."
        )
    return runtime


def take(path: Path, *, exclusive: bool) -> int | None:
    """A descriptor of `path` that holds its lock; None while others hold it, or if the file was just replaced."""
    lock = os.open(path, os.O_RDWR | os.O_CREAT, 0o600)
    if locked(lock, exclusive=exclusive) and is_at(lock, path):
        return lock
    os.close(lock)
    return None


def held(path: Path) -> bool:
    """Whether someone holds the lock of `path` alone."""
    with contextlib.suppress(OSError):
        lock = os.open(path, os.O_RDONLY)
        try:
            return not locked(lock, exclusive=False)
        finally:
            os.close(lock)
    return False


def locked(lock: int, *, exclusive: bool) -> bool:
    """Lock an open file without waiting; whether that worked."""
    import fcntl  # noqa: PLC0415  # there is none on Windows, where this module can still be imported

    try:
        fcntl.flock(lock, (fcntl.LOCK_EX if exclusive else fcntl.LOCK_SH) | fcntl.LOCK_NB)
    except BlockingIOError:
        return False
    return True


def is_at(lock: int, path: Path) -> bool:
    """Whether the file open as `lock` is still the one at `path`."""
    with contextlib.suppress(OSError):
        return os.path.samestat(os.fstat(lock), path.stat())
    return False
