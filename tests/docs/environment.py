"""A clone's `.venv` as `make setup` and `make dev` would leave it, with the packages of the Python that runs the tests.

`.ci/newcomer.py` installs one for real; half a minute for each page would show no more.
"""

from __future__ import annotations

import importlib.util
import shlex
import sys
from pathlib import Path

COMMANDS = ("python", "gapless", "ruff", "mypy", "lint-imports")


def environment(clone: Path) -> None:
    """Makes it, stamped by the clone's own installer, which then has nothing to install."""
    folder = clone / ".venv"
    (folder / "bin").mkdir(parents=True)
    real = Path(sys.executable).parent
    for name in COMMANDS:
        command = folder / "bin" / name
        command.write_text(f'#!/bin/sh\nexec {shlex.quote(str(real / name))} "$@"\n')
        command.chmod(0o755)
    spec = importlib.util.spec_from_file_location("install", clone / "requirements" / "install.py")
    assert spec and spec.loader
    install = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(install)
    for kind in ("run", "dev"):
        install.stamp(folder, kind).write_text(install.state(folder, kind, install.version_of(folder)))
