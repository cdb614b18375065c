"""What a build puts on Vercel's machines: the files under `/var/task` and the function's configuration."""

from __future__ import annotations

import importlib.metadata
import json
import re
import shutil
import subprocess
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from packaging.requirements import Requirement
from packaging.utils import canonicalize_name

from tests.testkit.vercel.toolchain import PYTHON

if TYPE_CHECKING:
    from collections.abc import Iterable
    from pathlib import Path

VENDOR = "_vendor/"


@dataclass(frozen=True)
class Bundle:
    """One function, collected into a folder that holds nothing else. Never write into `root`."""

    root: Path
    """The folder that is `/var/task` on Vercel."""
    python: Path
    """An interpreter of the function's Python version that has no packages of its own."""
    config: dict[str, Any]
    """The built `.vc-config.json`, without its `filePathMap`."""
    output: dict[str, Any]
    """The built `config.json`: routes, and what else holds for the whole deployment."""
    files: frozenset[str]
    """Paths below `root`, with `/`, as they were built."""

    @property
    def own(self) -> frozenset[str]:
        """The files that are not dependencies."""
        return frozenset(name for name in self.files if not name.startswith(VENDOR))

    @property
    def distributions(self) -> frozenset[str]:
        """The names of the packages in it, lower case, with `-`."""
        found = (re.match(r"_vendor/([^/]+)-[^-/]+\.dist-info/", name) for name in self.files)
        return frozenset(match[1].lower().replace("_", "-") for match in found if match)

    def closure(self, requirements: Iterable[str]) -> frozenset[str]:
        """The names of what these requirements pull in, by the metadata of the packages in the bundle."""
        installed = {
            canonicalize_name(found.name): found.requires or []
            for found in importlib.metadata.distributions(path=[str(self.root / VENDOR)])
        }
        names: set[str] = set()
        asked = [Requirement(text) for text in requirements]
        while asked:
            requirement = asked.pop()
            name = canonicalize_name(requirement.name)
            names.add(name)
            further = (Requirement(text) for text in installed.get(name, ()))
            asked += [one for one in further if one.name not in names and _holds(one, requirement.extras)]
        return frozenset(names)

    @property
    def max_duration(self) -> float:
        """Seconds after which Vercel ends a request."""
        return float(self.config["maxDuration"])

    def present(self) -> frozenset[str]:
        """The files under `root` now; more than `files` if the function wrote where Vercel lets it not."""
        return frozenset(path.relative_to(self.root).as_posix() for path in self.root.rglob("*") if path.is_file())


def _holds(requirement: Requirement, extras: set[str]) -> bool:
    """Whether the function's Python needs it, for a package asked for with these extras."""
    python = {"python_version": PYTHON, "python_full_version": f"{PYTHON}.0"}
    marker = requirement.marker
    return marker is None or any(marker.evaluate({**python, "extra": extra}) for extra in ("", *extras))


def collect(project: Path, folder: Path, python: Path) -> None:
    """Copy the one function that was built in `project` to `folder`, for `load`.

    A `.func` folder holds only what was generated; `filePathMap` names the rest, relative to the project.
    """
    output = project / ".vercel" / "output"
    (func,) = sorted((output / "functions").glob("*.func"))
    root = folder / "task"
    shutil.copytree(func, root)
    config = json.loads((root / ".vc-config.json").read_text())
    (root / ".vc-config.json").unlink()
    for name, source in config.pop("filePathMap", {}).items():
        (root / name).parent.mkdir(parents=True, exist_ok=True)
        shutil.copy2(project / source, root / name)
    files = sorted(path.relative_to(root).as_posix() for path in root.rglob("*") if path.is_file())
    built = {"config": config, "output": json.loads((output / "config.json").read_text()), "files": files}
    (folder / "built.json").write_text(json.dumps(built))
    subprocess.run([python, "-m", "venv", "--without-pip", folder / "python"], check=True)


def load(folder: Path) -> Bundle:
    """The bundle that `collect` put into `folder`."""
    built = json.loads((folder / "built.json").read_text())
    return Bundle(
        root=folder / "task",
        python=folder / "python" / "bin" / "python",
        config=built["config"],
        output=built["output"],
        files=frozenset(built["files"]),
    )
