"""Each file of unit tests, in Node's own test runner."""

from __future__ import annotations

import subprocess
from pathlib import Path

import pytest

from tests.testkit.need import need
from tests.testkit.node import node_binary

HERE = Path(__file__).parent
FILES = sorted(path.name for path in HERE.glob("*.test.mjs"))


@pytest.mark.real(seconds=2)
@pytest.mark.parametrize("file", FILES)
def test_units(file: str) -> None:
    need((HERE / "node_modules" / "eventsource-parser").is_dir(), "npm packages: run npm install in tests/client")
    done = subprocess.run([node_binary(), "--test", file], cwd=HERE, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stdout + done.stderr
    assert "# pass 0" not in done.stdout
