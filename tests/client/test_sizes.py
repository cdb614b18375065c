"""What a page loads of the client, as a bundler makes it."""

from __future__ import annotations

import gzip
import subprocess
from pathlib import Path

import pytest

from tests.testkit.need import need

HERE = Path(__file__).parent
CLIENT = HERE.parents[1] / "app" / "gapless" / "web" / "client"


@pytest.mark.parametrize(
    ("module", "most"), [("gapless.js", 14.0), ("connection.js", 2), ("gapless-react.js", 0.4)], ids=str
)
def test_a_bundle_is_small(module: str, most: float) -> None:
    """`most`: KiB of what esbuild makes of it, compressed."""
    esbuild = HERE / "node_modules" / ".bin" / "esbuild"
    need(esbuild.exists(), "npm packages: run npm install in tests/client")
    argv = [esbuild, CLIENT / module, "--bundle", "--minify", "--format=esm", "--external:react"]
    done = subprocess.run(argv, capture_output=True, check=True)
    assert len(gzip.compress(done.stdout, 9)) <= most * 1024


def test_modules_fit_the_head() -> None:
    """Lines of each file, and each file is named by what it holds."""
    long = {path.name: len(path.read_text().splitlines()) for path in CLIENT.glob("*.js")}
    assert {name: lines for name, lines in long.items() if lines > 250} == {}
