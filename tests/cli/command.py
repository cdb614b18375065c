"""The command `gapless` in a process of its own."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

from tests.testkit import forked
from tests.testkit.isolation import isolated

GAPLESS = str(Path(sys.executable).with_name("gapless"))


def run(*args: str, text: str = "", **env: str) -> subprocess.CompletedProcess[str]:
    """The command, until it ends by itself, with `text` as its standard input; forked where forks are to be had."""
    whole = isolated(os.environ) | env
    if forked.AVAILABLE:
        return forked.run("gapless.cli:main", [GAPLESS, *args], env=whole, text=text)
    return subprocess.run(
        [GAPLESS, *args], env=whole, input=text, capture_output=True, text=True, timeout=60, check=False
    )


def begin(*args: str, **env: str) -> subprocess.Popen[bytes]:
    """The command, with pipes; end it."""
    pipe = subprocess.PIPE
    return subprocess.Popen([GAPLESS, *args], env=isolated(os.environ) | env, stdin=pipe, stdout=pipe, stderr=pipe)
