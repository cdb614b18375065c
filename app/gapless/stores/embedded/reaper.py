"""Ends the embedded Valkey after its last user, also if that user was ended by a signal and could not do it.

An app that is mounted in another is not told that its server stops, and uvicorn ends itself by the SIGTERM that it was
sent: then `atexit` does not run. So a small process waits for the end of ours, which closes a pipe however it comes.
"""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

from gapless.stores.embedded.folder import take
from gapless.stores.embedded.valkey import EmbeddedValkey

_WAIT = (
    "import sys; sys.stdin.buffer.read(); sys.path.insert(0, sys.argv[1]); "
    "from gapless.stores.embedded.reaper import end_unused; end_unused(sys.argv[2])"
)


class Reaper:
    """Waits for the end of this process, and then ends the Valkey of `folder` unless another process uses it."""

    def __init__(self, folder: Path) -> None:
        library = str(Path(__file__).resolve().parents[3])
        self._process = subprocess.Popen(  # noqa: S603 - our own code
            [sys.executable, "-I", "-S", "-c", _WAIT, library, str(folder)],
            stdin=subprocess.PIPE,
            stdout=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL,
            start_new_session=True,  # Ctrl-C in a terminal must not end it first
        )

    def dismiss(self) -> None:
        """End the process: nothing is left to do. Idempotent."""
        self._process.kill()
        self._process.communicate()


def end_unused(folder: str) -> None:
    """End the Valkey of this folder if nobody uses it."""
    users = take(Path(folder) / "users.lock", exclusive=True)
    if users is not None:
        EmbeddedValkey.of_last_user(Path(folder), users).stop()
