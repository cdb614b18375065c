"""Sees to it that no child outlives a test run that was itself killed (SIGTERM, SIGKILL, a time limit)."""

from __future__ import annotations

import atexit
import subprocess
import sys
import threading
from functools import cache

from tests.testkit.leftovers import KEPT

_one_at_a_time = threading.Lock()

# Is told who lives (+pid) and who is gone (-pid), and kills the living when this process is no more,
# which it hears by the end of its input. A session is killed as a whole.
_CODE = """
import os, sys
alive = set()
for line in sys.stdin:
    (alive.add if line[0] == "+" else alive.discard)(int(line[1:]))
for pid in alive:
    try:
        os.killpg(pid, 9)
    except OSError:
        pass
"""


def born(pid: int) -> None:
    """The child `pid`, leader of its session, is not to outlive this process."""
    _tell(f"+{pid}\n")


def gone(pid: int) -> None:
    """The child `pid` has been waited for: its number may belong to another by now."""
    _tell(f"-{pid}\n")


def _tell(line: str) -> None:
    with _one_at_a_time:
        pipe = _guardian().stdin
        assert pipe is not None
        pipe.write(line)
        pipe.flush()


@cache
def _guardian() -> subprocess.Popen[str]:
    # In a session of its own, so that Ctrl-C does not end it first; without site, for a start of 10 ms.
    argv = [sys.executable, "-ISc", _CODE]
    guardian = subprocess.Popen(argv, stdin=subprocess.PIPE, text=True, start_new_session=True)
    KEPT.add(guardian.pid)
    atexit.register(guardian.communicate)
    return guardian
