"""Where the server of a data folder listens, and what it answers about itself."""

from __future__ import annotations

import contextlib
import os
import re
from pathlib import Path
from typing import NamedTuple

from gapless.stores.embedded.resp import ask


class Answer(NamedTuple):
    """A server's process, and whether it still reads its file."""

    pid: int
    loading: bool


def answer_of(folder: Path) -> Answer | None:
    """What the server of this folder says; None where none answers. A server of another folder counts as none.

    Its socket may be named here because this folder is a copy, or because the name was used again.
    """
    socket = socket_of(folder)
    try:
        told = ask(socket, "INFO", "server", "persistence")
        ours = ask(socket, "CONFIG", "GET", "dir") == str(folder)
    except (OSError, ValueError):
        return None
    pid = re.search(r"^process_id:(\d+)", told, re.MULTILINE)
    return Answer(int(pid[1]), "\nloading:1" in told) if ours and pid else None


def socket_of(folder: Path) -> str:
    """Where the server listens, as the user that started it wrote into its lock: temporary folders may differ by user.

    Should someone delete the lock of a running server, its socket still keeps us from starting a second one.
    """
    with contextlib.suppress(OSError):
        if written := (folder / "server.lock").read_bytes():
            return os.fsdecode(written)
    return str(folder / "valkey.sock")
