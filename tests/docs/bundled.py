"""Scripts that a page's bundler would make, with the client as if it had been installed from npm."""

from __future__ import annotations

import json
import shutil
import subprocess
from typing import TYPE_CHECKING

from tests.docs.blocks import TREE
from tests.testkit.need import need

if TYPE_CHECKING:
    from collections.abc import Mapping
    from pathlib import Path

_MODULES = TREE / "tests" / "docs" / "node_modules"
_CLIENT = TREE / "app" / "gapless" / "web" / "client"


def bundled(folder: Path, files: Mapping[str, str], entry: str, url: str) -> str:
    """`files` by name, and all that `entry` imports, as one script. `url`: the service's address in the environment."""
    need((_MODULES / "vue").is_dir(), "React, Vue, Svelte: run npm install in tests/docs")
    work = folder / "site"
    shutil.rmtree(work, ignore_errors=True)
    (work / "node_modules").mkdir(parents=True)
    for package in _MODULES.iterdir():
        (work / "node_modules" / package.name).symlink_to(package)
    (work / "node_modules" / "gapless-client").symlink_to(_CLIENT)
    for name, text in files.items():
        (work / name).write_text(text)
    address = f"--define:process.env.NEXT_PUBLIC_GAPLESS_URL={json.dumps(url)}"
    options = ["--bundle", "--jsx=automatic", "--log-level=warning", "--preserve-symlinks", address]
    done = subprocess.run(
        [_MODULES / ".bin" / "esbuild", entry, *options], cwd=work, capture_output=True, text=True, check=False
    )
    assert done.returncode == 0 and not done.stderr, done.stderr
    return done.stdout.replace("</script", "<\\/script")
