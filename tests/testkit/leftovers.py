"""What a test session leaves behind: processes that still run, and children that nobody has waited for.

A process is the session's if its command, its working folder or its environment names one of the session's folders:
also one that has a session of its own and whose parent is dead.
"""

from __future__ import annotations

import contextlib
import gc
import os
import re
import subprocess
from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterable

KEPT: set[int] = set()
"""Children that serve the whole session, and end with this process."""

_PROC = Path("/proc")
_SHOWN = 200
"""Characters of a command that are shown."""


def running(folders: Iterable[Path]) -> list[str]:
    """Every process that names one of `folders`, but for this one and those in `KEPT`; none where there is no /proc."""
    # Not one whose name only begins so: pytest numbers its folders.
    wanted = re.compile(b"(?:%s)(?![\\w-])" % b"|".join(re.escape(os.fsencode(folder)) for folder in folders))
    pids = [int(entry.name) for entry in _PROC.iterdir() if entry.name.isdigit()] if _PROC.is_dir() else []
    return [_shown(pid) for pid in pids if pid not in {os.getpid(), *KEPT} and _names(pid, wanted)]


def forgotten() -> list[str]:
    """Children of this process that nobody has waited for: the collector would warn of each, in some other test."""
    children = [thing for thing in gc.get_objects() if isinstance(thing, subprocess.Popen)]
    return [f"{child.pid}: {child.args}" for child in children if child.returncode is None and child.pid not in KEPT]


def _names(pid: int, wanted: re.Pattern[bytes]) -> bool:
    told = b"\0".join((_read(pid, "cmdline"), _read(pid, "environ"), os.fsencode(_working_folder(pid))))
    return wanted.search(told) is not None


def _shown(pid: int) -> str:
    command = _read(pid, "cmdline").replace(b"\0", b" ").decode(errors="replace").strip()
    return f"{pid}: {command[:_SHOWN]} (in {_working_folder(pid)})"


def _read(pid: int, name: str) -> bytes:
    with contextlib.suppress(OSError):  # it has ended, or is another user's
        return (_PROC / str(pid) / name).read_bytes()
    return b""


def _working_folder(pid: int) -> str:
    with contextlib.suppress(OSError):
        return str((_PROC / str(pid) / "cwd").readlink())
    return ""
