"""Restarts the embedded Valkey if it dies while a server uses it, and has the disk keep what it has written."""

from __future__ import annotations

import contextlib
import logging
import os
import threading
from time import monotonic

from gapless.stores.embedded.valkey import EmbeddedUnavailable, EmbeddedValkey

LOOK = 0.25
"""Seconds between looks; readers wait that long, at most, and a start, for a server that died."""

PAUSE = 5.0
"""Seconds before the next attempt after a failed one."""

SETTLE = 1.0
"""Seconds after which what was written is on disk, and outlives a power cut."""

_log = logging.getLogger("gapless.embedded")


class Keeper(threading.Thread):
    """A thread that looks after the server. `end` it before the use is stopped."""

    def __init__(self, use: EmbeddedValkey) -> None:
        super().__init__(name="keeper of the embedded Valkey", daemon=True)
        self._use = use
        self._over = threading.Event()
        self._said = ""

    def run(self) -> None:
        """Look at the server again and again."""
        pause, due = LOOK, 0.0
        while not self._over.wait(pause):
            pause = LOOK if self._use.alive() or self._revived() else PAUSE
            if monotonic() >= due:
                self._settle()
                due = monotonic() + SETTLE

    def end(self) -> None:
        """Stop looking."""
        self._over.set()

    def _settle(self) -> None:
        """Costs next to nothing where nothing was written."""
        for file in (self._use.folder / "appendonlydir").glob("*.incr.aof"):
            with contextlib.suppress(OSError):  # the server has begun another
                descriptor = os.open(file, os.O_RDONLY)
                try:
                    os.fsync(descriptor)
                finally:
                    os.close(descriptor)

    def _revived(self) -> bool:
        try:
            self._use.ensure()
        except EmbeddedUnavailable as error:
            if str(error) != self._said:
                _log.error("%s", error)
            self._said = str(error)
            return False
        self._said = ""
        _log.warning("the embedded Valkey had ended; it was started again with its data")
        return True
