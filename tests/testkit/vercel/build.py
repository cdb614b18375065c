"""`vercel build`, offline: no login, no project on Vercel, no deployment."""

from __future__ import annotations

import fcntl
import hashlib
import json
import os
import shutil
import subprocess
import tempfile
from pathlib import Path

from tests.testkit.vercel.bundle import Bundle, collect, load
from tests.testkit.vercel.toolchain import Toolchain, toolchain

# Finished builds are kept by the hash of their sources, so that a test run without a change does not build.
_KEPT = Path(__file__).parents[3] / ".vercel" / "builds"
_KEEP = 4

# Folders of this project that no build reads: a change there needs no new one.
_NOT_BUILT = ("tests/", "docs/", "benchmarks/")

_PROJECT = {
    "projectId": "prj_local",
    "orgId": "team_local",
    "settings": {"framework": "fastapi", "nodeVersion": "22.x"},
}


class BuildError(RuntimeError):
    """`vercel build` failed; the text is its output."""


def build(tree: Path, *, env: dict[str, str] | None = None) -> Bundle:
    """Build what git would take of `tree` (tracked and new files, not ignored ones) as Vercel does.

    `env` is added to the build's environment. Blocks for about 6 s and downloads packages, unless these
    very sources were built before. Skips the test where Node, the CLI, uv or Python 3.12 are missing.
    BuildError if the build fails.
    """
    tools, names, kept = toolchain(), sources(tree), kept_in(tree, env=env)
    _KEPT.mkdir(parents=True, exist_ok=True)
    # One of several test processes builds, the others wait for it.
    with (_KEPT / "one.lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        if not kept.exists():
            with tempfile.TemporaryDirectory(prefix="vercel-build-") as work:
                _build(tools, tree, names, Path(work), kept, env or {})
        os.utime(kept)
    return load(kept)


def kept_in(tree: Path, *, env: dict[str, str] | None = None) -> Path:
    """The folder in which that build is kept, once it is made: another for every other source, setting and tool."""
    return _KEPT / _digest(toolchain(), tree, sources(tree), env or {})


def sources(tree: Path) -> list[str]:
    """What a clone of `tree` with the present changes would hold, relative to it."""
    git = ["git", "-C", str(tree), "ls-files", "-z", "--cached", "--others", "--exclude-standard"]
    listed = subprocess.run(git, capture_output=True, text=True, check=True).stdout
    # A deleted file is listed as long as the deletion is not committed.
    return sorted({name for name in listed.split("\0") if name and (tree / name).is_file()})


def _digest(tools: Toolchain, tree: Path, names: list[str], env: dict[str, str]) -> str:
    # Another CLI or another Python is another build.
    cli = (tools.cli.resolve().parents[1] / "package.json").read_bytes()
    digest = hashlib.sha256(json.dumps([str(tools), env], sort_keys=True).encode() + cli)
    for name in names:
        if not name.startswith(_NOT_BUILT):
            digest.update(f"\0{name}\0".encode() + hashlib.sha256((tree / name).read_bytes()).digest())
    return digest.hexdigest()[:16]


def _build(tools: Toolchain, tree: Path, names: list[str], work: Path, kept: Path, env: dict[str, str]) -> None:
    project = work / "project"
    for name in names:
        (project / name).parent.mkdir(parents=True, exist_ok=True)
        shutil.copy2(tree / name, project / name)
    (project / ".vercel").mkdir()
    (project / ".vercel" / "project.json").write_text(json.dumps(_PROJECT))
    _run_cli(tools, project, {**tools.environment(work / "bin"), **env}, work / "global")
    _forget_old()
    half = kept.with_suffix(".half")
    shutil.rmtree(half, ignore_errors=True)
    collect(project, half, tools.python)
    half.rename(kept)


def _run_cli(tools: Toolchain, project: Path, environment: dict[str, str], settings: Path) -> None:
    run = subprocess.run(
        [tools.cli, "build", "--yes", "--global-config", settings],
        cwd=project,
        env=environment,
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        check=False,
    )
    if run.returncode:
        raise BuildError(run.stdout)


def _forget_old() -> None:
    """Keep the newest builds, in the order of their last use."""
    builds = sorted((path for path in _KEPT.iterdir() if not path.suffix), key=os.path.getmtime)
    for path in builds[: -_KEEP + 1]:
        shutil.rmtree(path, ignore_errors=True)
