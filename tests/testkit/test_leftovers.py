"""Processes are found by the folders that they name; children by what knows them."""

from __future__ import annotations

import subprocess
import sys
from typing import TYPE_CHECKING

from tests.testkit import leftovers
from tests.testkit.leftovers import forgotten, running
from tests.testkit.process import Process

if TYPE_CHECKING:
    from pathlib import Path

    import pytest

SLEEPS = [sys.executable, "-Sc", "import signal; signal.pause()"]


def test_a_process_that_names_a_folder_anywhere_is_found(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    with (
        Process("by its command", [*SLEEPS, str(tmp_path)], env={}) as one,
        Process("by its environment", SLEEPS, env={"TMPDIR": str(tmp_path)}) as two,
        Process("by its working folder", SLEEPS, env={}, cwd=tmp_path) as three,
        Process("elsewhere", SLEEPS, env={}),
        Process("beside it", SLEEPS, env={"TMPDIR": f"{tmp_path}0"}),
    ):
        found = running([tmp_path])
        assert sorted(line.partition(":")[0] for line in found) == sorted(str(p.pid) for p in (one, two, three))
        assert all("signal.pause()" in line for line in found)
        monkeypatch.setattr(leftovers, "KEPT", {one.pid})
        assert len(running([tmp_path])) == 2
    assert running([tmp_path]) == []


def test_a_child_that_nobody_waits_for_is_named(monkeypatch: pytest.MonkeyPatch) -> None:
    before = forgotten()
    child = subprocess.Popen([sys.executable, "-Sc", ""])
    assert [line for line in forgotten() if line not in before] == [f"{child.pid}: {child.args}"]
    with monkeypatch.context() as patch:
        patch.setattr(leftovers, "KEPT", {*leftovers.KEPT, child.pid})
        assert forgotten() == before
    child.wait()
    assert forgotten() == before
