"""What `vercel build` needs on this machine: Node with the pinned CLI, uv, and Python 3.12."""

from __future__ import annotations

import os
import shutil
import subprocess
from dataclasses import dataclass
from pathlib import Path

from tests.testkit.need import need

# The Python that Vercel takes for this project: its default, and within `requires-python`.
PYTHON = "3.12"

_NODE_MODULES = Path(__file__).parents[2] / "vercel" / "node_modules"


@dataclass(frozen=True)
class Toolchain:
    """Absolute paths of the three programs."""

    cli: Path
    uv: Path
    python: Path

    def environment(self, bin_folder: Path) -> dict[str, str]:
        """The environment for a build. `bin_folder` is filled with links to uv and this Python.

        The own folders of the two programs stay off PATH: they may hold other Pythons.
        """
        bin_folder.mkdir()
        (bin_folder / "uv").symlink_to(self.uv)
        (bin_folder / f"python{PYTHON}").symlink_to(self.python)
        path = os.pathsep.join([str(bin_folder), os.environ.get("PATH", os.defpath)])
        kept = {name: value for name, value in os.environ.items() if not name.startswith(_LEFT_OUT)}
        return {**kept, "PATH": path, "VERCEL_TELEMETRY_DISABLED": "1"}


# What the session that runs the tests has set for itself would change the build.
_LEFT_OUT = ("VERCEL", "NOW_", "UV_", "VIRTUAL_ENV", "PYTHON", "GAPLESS_")


def toolchain() -> Toolchain:
    """The programs of this machine. Without them a test is skipped, with the reason (`need`)."""
    need(shutil.which("node"), "Node on PATH, for `vercel build`")
    need(shutil.which("git"), "git on PATH: `vercel build` gets what git tracks")
    cli = _NODE_MODULES / ".bin" / "vercel"
    need(cli.exists(), "the Vercel CLI: run npm install in tests/vercel")
    uv = _uv()
    return Toolchain(cli=cli, uv=uv, python=_python(uv))


def _uv() -> Path:
    try:
        from uv import find_uv_bin  # noqa: PLC0415  # only a development install has it
    except ImportError:
        need(False, "uv, one of the `dev` extras, for `vercel build`")
        raise
    return Path(find_uv_bin())


def _python(uv: Path) -> Path:
    # Without the variable, a pyenv shim refuses to be any Python that is not the chosen one.
    environment = {**os.environ, "PYENV_VERSION": PYTHON, "UV_PYTHON_DOWNLOADS": "never"}
    found = subprocess.run(
        [uv, "python", "find", "--no-project", "--system", PYTHON],
        env=environment,
        capture_output=True,
        text=True,
        check=False,
    )
    need(found.returncode == 0, f"Python {PYTHON}, which is what Vercel runs")
    return Path(found.stdout.strip()).resolve()
