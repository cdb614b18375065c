"""Builds what `osls deploy` uploads: api.zip, stream.zip and built.json. Standard library and pip only.

    python deploy/lambda/build.py [--python 3.12] [--machine arm64|x86_64] [--into build/lambda]

Each zip holds `app/` (without the command line), the packages it imports in the versions and with the hashes of the
lock, and their bytecode.
`serverless.yml` takes runtime and architecture from built.json, so that a function never gets a zip made for another.
The same tree and lock give the same bytes.
"""

from __future__ import annotations

import argparse
import json
import os
import re
import shutil
import subprocess
import sys
import tempfile
import tomllib
import zipfile
from pathlib import Path
from typing import Any

HERE = Path(__file__).resolve().parent
TREE = HERE.parent.parent
LOCK = TREE / "requirements" / "dev.txt"  # the one that has every extra
MACHINES = {"arm64": "aarch64", "x86_64": "x86_64"}
# Lambda's C library: 2.26 up to Python 3.11, 2.34 from Python 3.12 on.
WHEELS = {"3.11": ("manylinux2014", "manylinux_2_17")}
NEWER_WHEELS = (*WHEELS["3.11"], "manylinux_2_28", "manylinux_2_34")
RUNTIMES = ("3.11", "3.12", "3.13", "3.14")


def main() -> None:
    options = _options()
    into: Path = options.into
    python = interpreter(options.python)
    pip = Pip(python, options.python, MACHINES[options.machine])
    shutil.rmtree(into, ignore_errors=True)
    into.mkdir(parents=True)
    with tempfile.TemporaryDirectory(prefix="gapless-lambda-") as scratch:
        folder = Path(scratch)
        shutil.copytree(TREE / "app", folder / "app", ignore=shutil.ignore_patterns("__pycache__", "cli"))
        service = install(folder, requirements(), pip)
        pack(folder, python, into / "api.zip")
        install(folder, server_requirements(), pip, already=service)
        shutil.copy(HERE / "run.sh", folder)
        pack(folder, python, into / "stream.zip")
    built = {"runtime": f"python{options.python}", "architecture": options.machine}
    (into / "built.json").write_text(json.dumps(built, indent=2) + "\n")


def _options() -> Any:
    parser = argparse.ArgumentParser(description="Builds the zips that osls deploys.")
    parser.add_argument("--python", default="3.12", choices=RUNTIMES, help="the function's Python (3.12)")
    parser.add_argument("--machine", default="arm64", choices=MACHINES, help="the function's processor (arm64)")
    parser.add_argument("--into", default=TREE / "build" / "lambda", type=Path, help="emptied first (build/lambda)")
    return parser.parse_args()


def interpreter(wanted: str) -> str:
    """A Python of the function's own minor version: no other writes bytecode that the function can read."""
    uv = shutil.which("uv") or shutil.which("uv", path=str(Path(sys.executable).parent)) or "uv"
    by_uv = _answer(wanted, uv, "python", "find", "--no-project", "--no-python-downloads", wanted)
    for candidate in (sys.executable, f"python{wanted}", by_uv):
        probe = "import sys; print('%d.%d' % sys.version_info[:2], sys.executable)"
        version, _, found = _answer(wanted, candidate, "-c", probe).partition(" ")
        if version == wanted:
            return found
    sys.exit(
        f"No Python {wanted} on this machine, and only it can compile for the function's runtime. "
        f"Install it (`uv python install {wanted}` does), or name one that is here: --python {' | '.join(RUNTIMES)}"
    )


class Pip:
    """pip, for wheels of the function's Python and machine: `version` is 3.12, `machine` aarch64 or x86_64."""

    def __init__(self, python: str, version: str, machine: str) -> None:
        self._python = python
        platforms = WHEELS.get(version, NEWER_WHEELS)
        self.wheels = ["--only-binary=:all:", *(f"--platform={name}_{machine}" for name in platforms)]

    def __call__(self, command: str, *words: str | Path) -> None:
        quiet = ["--quiet", "--no-input", "--disable-pip-version-check"]
        _run(sys.executable, "-m", "pip", "--python", self._python, command, *quiet, *self.wheels, *words)


def requirements() -> list[str]:
    """The service's own, and those of what a deployed service may be set to: Redis over TCP, keys from a URL."""
    extras = _project()["optional-dependencies"]
    return [*_project()["dependencies"], *extras["redis"], *extras.get("jwks", [])]


def server_requirements() -> list[str]:
    """uvicorn alone: its faster parser and loop are megabytes to load, for one request at a time."""
    return [line for line in _project()["optional-dependencies"]["embedded"] if line.startswith("uvicorn")]


def _project() -> Any:
    return tomllib.loads((TREE / "pyproject.toml").read_text())["project"]


def install(folder: Path, wanted: list[str], pip: Pip, already: frozenset[str] = frozenset()) -> frozenset[str]:
    """pip fetches the packages that this takes, in the lock's versions; then exactly those are installed, by hash."""
    lock = entries()
    with tempfile.TemporaryDirectory() as scratch:
        file, fetched = Path(scratch) / "requirements.txt", Path(scratch) / "wheels"
        file.write_text("".join(entry.partition(" \\\n")[0] + "\n" for entry in lock.values()))
        pip("download", "--dest", fetched, "--constraint", file, *wanted)
        chosen = frozenset(canonical(wheel.name.partition("-")[0]) for wheel in fetched.glob("*.whl"))
        if unlocked := sorted(chosen - lock.keys()):
            sys.exit(f"{LOCK.name} does not hold {', '.join(unlocked)}: run `make lock`")
        file.write_text("".join(lock[package] for package in sorted(chosen - already)))
        # From where they are: to read an index again takes as long as all the rest.
        offline = ("--no-index", "--find-links", fetched, "--require-hashes", "--no-deps", "--no-compile")
        pip("install", "--target", folder, *offline, "--requirement", file)
    shutil.rmtree(folder / "bin", ignore_errors=True)  # commands, which name this machine's Python
    return chosen


def entries() -> dict[str, str]:
    """The lock's text for each package: its version, its markers, its hashes."""
    texts = re.finditer(r"^([\w.-]+)==.*\n(?:    --hash.*\n)+", LOCK.read_text(), flags=re.M)
    return {canonical(text[1]): text[0] for text in texts}


def canonical(package: str) -> str:
    """A package's name as indexes compare it."""
    return re.sub(r"[-_.]+", "-", package).lower()


def pack(folder: Path, python: str, target: Path) -> None:
    """Compiles and zips: sorted, all of one time, with the run bit only on what is run."""
    compiled = {path.parent.parent / path.name.partition(".")[0] for path in folder.rglob("__pycache__/*.pyc")}
    missing = sorted(str(path) for path in folder.rglob("*.py") if path.with_suffix("") not in compiled)
    # Zipping changes file times, so only bytecode that never looks at them survives it.
    mode = ("--invalidation-mode", "unchecked-hash")
    _run(python, "-m", "compileall", "-q", *mode, "-s", folder, "-p", "/var/task", "-i", "-", given="\n".join(missing))
    with zipfile.ZipFile(target, "w") as archive:
        for file in sorted(path for path in folder.rglob("*") if path.is_file()):
            entry = zipfile.ZipInfo(file.relative_to(folder).as_posix())
            entry.compress_type = zipfile.ZIP_DEFLATED
            entry.create_system = 3  # Unix, or the permissions count for nothing
            entry.external_attr = (0o100755 if file.suffix == ".sh" else 0o100644) << 16
            archive.writestr(entry, file.read_bytes(), compresslevel=6)
    sys.stdout.write(f"{target}: {target.stat().st_size / 2**20:.1f} MB\n")


def _run(*command: str | Path, given: str = "") -> str:
    done = subprocess.run(command, input=given, capture_output=True, text=True, check=False)  # noqa: S603 - all of it is ours
    if done.returncode:
        sys.exit(f"{' '.join(map(str, command[:5]))} … failed:\n{done.stderr or done.stdout}")
    return done.stdout


def _answer(wanted: str, *command: str) -> str:
    """What a command says, or nothing where there is no such command or it fails."""
    env = os.environ | {"PYENV_VERSION": wanted}  # else a version switcher's python3.12 may be an empty shell
    try:
        done = subprocess.run(command, capture_output=True, text=True, check=True, env=env)  # noqa: S603 - ours
    except (OSError, subprocess.CalledProcessError):
        return ""
    return done.stdout.strip()


if __name__ == "__main__":
    main()
