"""Break each promise on purpose, and see its guard catch it: `make mutants`, or `python -m tests.mutants [NAME…]`.

A mutant is a patch in this folder. Before the diff it says in plain words what is broken, which promise of
docs/architecture.md that is, and `Caught by:` the test that must fail. Each is applied to a copy of the tree; the test
has to pass on the copy as it was and fail on the mutant, by an assertion of its own and not because nothing runs any
more (pytest's exit code 1 of a run that collected it).
"""

from __future__ import annotations

import os
import re
import shutil
import subprocess
import sys
import tempfile
from concurrent.futures import ThreadPoolExecutor
from itertools import repeat
from pathlib import Path
from typing import TYPE_CHECKING, NamedTuple

if TYPE_CHECKING:
    from collections.abc import Callable

FOLDER = Path(__file__).resolve().parent
TREE = FOLDER.parent.parent
SECONDS = 120
"""A mutant that hangs is caught, too: by its test's own time limit, well before this."""
AT_ONCE = 2


class Mutant(NamedTuple):
    """`test` is a pytest id, without its parameters."""

    name: str
    test: str
    patch: Path


def read(patch: Path) -> Mutant:
    """The mutant that a patch describes."""
    found = re.search(r"^Caught by: (\S+)$", patch.read_text(), re.MULTILINE)
    if found is None:
        sys.exit(f"{patch.name} names no test: it needs a line 'Caught by: tests/….py::test_…'")
    return Mutant(patch.stem, found[1], patch)


def copy(tree: Path, folder: Path, by: Callable[..., object] = shutil.copy2) -> Path:
    """The tree as far as the tests need it, with what is compiled of it: what a patch changes is compiled anew."""
    for part in ("app", "tests"):
        ignored = shutil.ignore_patterns("node_modules")
        shutil.copytree(tree / part, folder / part, ignore=ignored, copy_function=by)
    shutil.copy(tree / "pyproject.toml", folder)
    return folder


def run(folder: Path, *tests: str) -> tuple[int, str]:
    """pytest's exit code and output in a copy."""
    environ = {**os.environ, "PYTHONPATH": f"{folder / 'app'}{os.pathsep}{folder}", "PYTHONDONTWRITEBYTECODE": "1"}
    command = [sys.executable, "-m", "pytest", "-q", "-p", "no:cacheprovider", "--timeout=60", *tests]
    done = subprocess.run(
        command, cwd=folder, env=environ, check=False, capture_output=True, text=True, timeout=SECONDS
    )
    return done.returncode, done.stdout + done.stderr


def verdict(mutant: Mutant, whole: Path) -> str | None:
    """None where the mutant is caught, else what went wrong. `whole` is a copy on which its test has passed."""
    with tempfile.TemporaryDirectory(prefix=f"mutant-{mutant.name}-", dir=whole.parent) as name:
        folder = copy(whole, Path(name), os.link)  # a patch puts new files in the place of those that it changes
        applying = ["git", "apply", str(mutant.patch)]
        applied = subprocess.run(applying, cwd=folder, check=False, capture_output=True, text=True)
        if applied.returncode:
            return f"the patch no longer fits the tree: {applied.stderr.strip()}"
        code, said = run(folder, "-x", mutant.test)
        if code == 0:
            return f"NOT CAUGHT: {mutant.test} passes"
        if code != 1 or not re.search(r"^FAILED ", said, re.MULTILINE):
            return f"{mutant.test} did not run (exit code {code}):\n{said[-1500:]}"
        return None


def unsound(whole: Path, tests: set[str]) -> str | None:
    """What pytest says where the guards do not all pass on the tree as it is; None where they do."""
    code, said = run(whole, f"-n{AT_ONCE}", "--dist=loadfile", *sorted(tests))
    return said if code else None


def main(names: list[str]) -> int:
    mutants = [read(patch) for patch in sorted(FOLDER.glob("*.patch"))]
    chosen = [mutant for mutant in mutants if not names or mutant.name in names]
    if not chosen:
        sys.exit(f"no such mutant; there are: {', '.join(mutant.name for mutant in mutants)}")
    with tempfile.TemporaryDirectory(prefix="mutants-") as name:
        whole = copy(TREE, Path(name) / "unbroken")
        if said := unsound(whole, {mutant.test for mutant in chosen}):
            sys.exit(f"On the tree as it is these tests do not pass:\n{said}")
        return 1 if escaped(chosen, whole) else 0


def escaped(mutants: list[Mutant], whole: Path) -> int:
    """Says of each what became of it; how many were not caught."""
    wrong = 0
    with ThreadPoolExecutor(AT_ONCE) as pool:
        for mutant, problem in zip(mutants, pool.map(verdict, mutants, repeat(whole)), strict=True):
            print(f"{mutant.name:32} {problem or 'caught by ' + mutant.test}", flush=True)
            wrong += problem is not None
    print(f"{len(mutants) - wrong} passed, {wrong} failed")
    return wrong


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
