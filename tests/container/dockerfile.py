"""A Dockerfile's steps, done in folders of a test's own, on a machine that has no Docker.

What a step does to the file system of its image happens below a folder: absolute paths that the file names lead there.
Of the image it builds on it has `python` and `pip`.
"""

from __future__ import annotations

import json
import os
import re
import shlex
import shutil
import subprocess
import sys
from dataclasses import dataclass, field
from fnmatch import fnmatch
from pathlib import Path
from typing import TYPE_CHECKING

from tests.testkit.vercel.build import sources

if TYPE_CHECKING:
    from collections.abc import Sequence

_NETWORK = re.compile(r"(PIP|UV|SSL)_\w+|(HTTPS?|NO|ALL)_PROXY|HOME|TMPDIR", re.I)
"""Of this machine: its way to a package index."""


@dataclass(frozen=True)
class Step:
    """One instruction: `RUN pip …`."""

    word: str
    rest: str


def stages(text: str) -> list[list[Step]]:
    """The steps of each stage, from its FROM on."""
    lines = re.sub(r"\\\n\s*", " ", re.sub(r"(?m)^#.*\n", "", text)).splitlines()
    steps = [Step(*line.split(" ", 1)) for line in lines if line.strip()]
    starts = [number for number, step in enumerate(steps) if step.word == "FROM"]
    return [steps[start:end] for start, end in zip(starts, [*starts[1:], None], strict=True)]


def context(tree: Path) -> list[str]:
    """What a build is sent of a clone of this tree: all that `.dockerignore` does not keep out."""
    rules = [line for line in (tree / ".dockerignore").read_text().splitlines() if line and not line.startswith("#")]
    return [name for name in sources(tree) if not ignored(name, rules)]


def ignored(name: str, rules: Sequence[str]) -> bool:
    """As Docker decides: the last rule counts that matches the path or a folder above it; `!` lets through."""
    verdict = False
    above = [name, *map(str, Path(name).parents)]
    for rule in rules:
        if any(fnmatch(path, rule.removeprefix("!")) for path in above):
            verdict = not rule.startswith("!")
    return verdict


def base(top: Path) -> Path:
    """A folder with the commands of the image that is built on: `python` and `pip`, those that run the tests."""
    folder = top / "base"
    folder.mkdir()
    for name, module in (("python", ""), ("pip", "-m pip")):
        (folder / name).write_text(f'#!/bin/sh\nexec {shlex.quote(sys.executable)} {module} "$@"\n')
        (folder / name).chmod(0o755)
    return folder


@dataclass
class Build:
    """Builds the stages one after the other. `root` is the present stage's `/`; `commands` those of the base image."""

    tree: Path
    top: Path
    commands: Path
    env: dict[str, str] = field(default_factory=dict)
    workdir: str = "/"
    user: str = "root"
    ports: list[str] = field(default_factory=list)
    command: list[str] = field(default_factory=list)
    check: list[str] = field(default_factory=list)

    @property
    def root(self) -> Path:
        """Where the present stage's files are."""
        return self.top / "root"

    def run(self, text: str) -> None:
        """All stages; what is left is the last one's."""
        names: dict[str, Path] = {}
        for number, steps in enumerate(stages(text)):
            self._begin()
            for step in steps[1:]:
                getattr(self, f"_{step.word.lower()}")(step.rest, names)
            named = re.fullmatch(r"\S+ AS (\S+)", steps[0].rest)
            if named:
                names[named[1]] = self.root.rename(self.top / f"stage{number}")

    def _begin(self) -> None:
        self.root.mkdir(parents=True)
        self.env = {"PATH": f"{self.commands}:/usr/bin:/bin"}
        self.workdir, self.user, self.ports, self.command, self.check = "/", "root", [], [], []

    def _here(self, path: str) -> Path:
        return self.root / os.path.normpath(f"{self.workdir}/{path}" if not path.startswith("/") else path).lstrip("/")

    def _moved(self, text: str) -> str:
        """A text in which the paths that the file names lead into the present root."""
        return text.replace("/opt/", f"{self.root}/opt/")

    def _workdir(self, rest: str, _: dict[str, Path]) -> None:
        self.workdir = rest
        self._here(".").mkdir(parents=True, exist_ok=True)

    def _copy(self, rest: str, names: dict[str, Path]) -> None:
        stage, *words = rest.split() if rest.startswith("--from=") else ["", *rest.split()]
        source, target = words
        if stage:
            shutil.copytree(
                names[stage.removeprefix("--from=")] / source.lstrip("/"), self._here(target), symlinks=True
            )
            return
        wanted = [
            name for name in context(self.tree) if source == "." or name == source or name.startswith(f"{source}/")
        ]
        assert wanted, f"nothing of {source} reaches the build: .dockerignore keeps it out"
        for name in wanted:
            into = self._here(target) / (name if source == "." else Path(name).name)
            into.parent.mkdir(parents=True, exist_ok=True)
            shutil.copy2(self.tree / name, into)

    def _env(self, rest: str, _: dict[str, Path]) -> None:
        for pair in shlex.split(rest):
            name, _, value = pair.partition("=")
            self.env[name] = self._moved(value).replace("$PATH", self.env["PATH"])

    def _run(self, rest: str, _: dict[str, Path]) -> None:
        kept = {name: value for name, value in os.environ.items() if _NETWORK.fullmatch(name)}
        shell = ["/bin/sh", "-ec", self._moved(rest)]
        done = subprocess.run(
            shell, cwd=self._here("."), env=kept | self.env, capture_output=True, text=True, check=False
        )
        assert done.returncode == 0, f"RUN {rest}\n{done.stdout}{done.stderr}"

    def _user(self, rest: str, _: dict[str, Path]) -> None:
        self.user = rest

    def _expose(self, rest: str, _: dict[str, Path]) -> None:
        self.ports = rest.split()

    def _healthcheck(self, rest: str, _: dict[str, Path]) -> None:
        self.check = json.loads(rest.partition(" CMD ")[2])

    def _cmd(self, rest: str, _: dict[str, Path]) -> None:
        self.command = json.loads(rest)

    def which(self, argv: list[str]) -> list[str]:
        """The same command, found on the image's own PATH."""
        found = shutil.which(argv[0], path=self.env["PATH"])
        assert found and Path(found).is_relative_to(self.root), f"the image has no {argv[0]}"
        return [found, *argv[1:]]
