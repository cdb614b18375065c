"""The service's zips and its CloudFormation template, made once for the very sources that are here."""

from __future__ import annotations

import fcntl
import hashlib
import json
import os
import platform
import shutil
import subprocess
import sys
import zipfile
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any, NamedTuple

from tests.testkit.need import need

if TYPE_CHECKING:
    from collections.abc import Iterator

TREE = Path(__file__).parents[3]
MINOR = "{}.{}".format(*sys.version_info)
MACHINE = {"x86_64": "x86_64", "aarch64": "arm64", "arm64": "arm64"}[platform.machine()]
SETTINGS = {
    "UPSTASH_REDIS_REST_URL": "https://store.example",
    "UPSTASH_REDIS_REST_TOKEN": "token",
    "GAPLESS_PUBLIC": "true",
}

_OSLS = TREE / "tests" / "lambda" / "node_modules" / ".bin" / "osls"
# What was made is kept by the hash of its sources: a run without a change makes nothing.
_KEPT = TREE / "build" / "lambda-tests"
_KEEP = 2


class Package(NamedTuple):
    """A folder with `serverless.yml`, `deploy/`, the zips in `build/lambda/`, and both of these unpacked."""

    folder: Path

    @property
    def template(self) -> dict[str, Any]:
        """What `osls package` makes of `serverless.yml` under SETTINGS."""
        out = self.folder / "out"
        with _alone():
            if not out.exists():
                done = osls(self.folder, "package", "--package", out.name)
                assert done.returncode == 0, done.stdout + done.stderr
        return template(out)

    def zip(self, name: str) -> Path:
        """`api` or `stream`."""
        return self.folder / "build" / "lambda" / f"{name}.zip"

    def unpacked(self, name: str) -> Path:
        """The same as a folder, as Lambda lays it out; nobody may write there."""
        return self.folder / name


def package() -> Package:
    """The package for the Python and the machine that run this. Takes some 20 s of processor where it is not kept."""
    kept = _KEPT / _digest()
    with _alone():
        if not kept.exists():
            _forget_old()
            half = kept.with_suffix(".half")
            shutil.rmtree(half, ignore_errors=True)
            _make(half)
            half.rename(kept)
        os.utime(kept)
    return Package(kept)


def app_files() -> set[str]:
    """The files of the service, relative to the tree; the command line is none of them."""
    left_out = {"__pycache__", "cli"}
    files = (file for file in (TREE / "app").rglob("*") if file.is_file() and not left_out & {*file.parts})
    return {file.relative_to(TREE).as_posix() for file in files}


def osls(folder: Path, *words: str, env: dict[str, str] = SETTINGS) -> subprocess.CompletedProcess[str]:
    """osls with these settings, a home of its own, and one variable of the shell that is no setting."""
    need(_OSLS.exists(), "run `npm install` in tests/lambda")
    kept = {name: os.environ[name] for name in ("PATH", "TMPDIR") if name in os.environ}
    full = {**kept, "HOME": str(folder), "NO_AT_ALL": "a setting", "CI": "true", **env}
    return subprocess.run([_OSLS, *words], cwd=folder, env=full, capture_output=True, text=True, check=False)


def template(out: Path) -> dict[str, Any]:
    """The CloudFormation template that osls has left in this folder."""
    made: dict[str, Any] = json.loads((out / "cloudformation-template-update-stack.json").read_text())
    return made


def _make(folder: Path) -> None:
    folder.mkdir()
    shutil.copy(TREE / "serverless.yml", folder)
    shutil.copytree(TREE / "deploy", folder / "deploy", ignore=shutil.ignore_patterns("__pycache__"))
    made = Package(folder)
    options = ("--python", MINOR, "--machine", MACHINE, "--into", folder / "build" / "lambda")
    command = (sys.executable, TREE / "deploy" / "lambda" / "build.py", *options)
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    for name in ("api", "stream"):
        with zipfile.ZipFile(made.zip(name)) as archive:
            archive.extractall(made.unpacked(name))


@contextmanager
def _alone() -> Iterator[None]:
    """One of several test processes makes what they need, the others wait for it."""
    _KEPT.mkdir(parents=True, exist_ok=True)
    with (_KEPT / "one.lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        yield


def _digest() -> str:
    """Of all that the package is made from, and of what makes it."""
    digest = hashlib.sha256(f"{sys.version} {MACHINE}".encode())
    for file in _sources():
        digest.update(f"\0{file.relative_to(TREE)}\0".encode() + hashlib.sha256(file.read_bytes()).digest())
    return digest.hexdigest()[:16]


def _sources() -> Iterator[Path]:
    yield from sorted(TREE / name for name in app_files())
    yield from sorted(file for file in (TREE / "deploy").rglob("*") if file.is_file() and file.suffix != ".pyc")
    for name in ("serverless.yml", "pyproject.toml", "requirements/dev.txt", "tests/lambda/package.json"):
        yield TREE / name
    yield Path(__file__)


def _forget_old() -> None:
    """Keep the newest, in the order of their last use."""
    made = sorted((path for path in _KEPT.iterdir() if not path.suffix), key=os.path.getmtime)
    for path in made[: -_KEEP + 1]:
        shutil.rmtree(path, ignore_errors=True)


if __name__ == "__main__":
    # Before the tests and on no test's clock: what it downloads takes as long as it takes.
    package()
