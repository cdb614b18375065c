"""A user of the embedded Valkey, in a process of its own: `python -m tests.stores.embedded.user FOLDER GATE`."""

from __future__ import annotations

import fcntl
import signal
import sys
from pathlib import Path

from gapless.stores.embedded.valkey import EmbeddedUnavailable, EmbeddedValkey


def main() -> None:
    """Starts the Valkey of FOLDER once nobody holds GATE, says how, and waits for SIGTERM."""
    folder, gate = map(Path, sys.argv[1:3])
    signal.signal(signal.SIGTERM, lambda *_: sys.exit())
    with gate.open() as closed:
        print("at the gate", flush=True)
        fcntl.flock(closed, fcntl.LOCK_SH)
        try:
            use = EmbeddedValkey.start(folder)
        except EmbeddedUnavailable as error:
            sys.exit(f"refused: {error}")
        try:
            print("joined" if use.joined else "started", use.pid, flush=True)
            signal.pause()
        finally:
            use.stop()


if __name__ == "__main__":
    main()
