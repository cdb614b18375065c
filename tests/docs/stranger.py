"""Somebody who follows a page from its top, in a fresh clone, and types what stands there."""

from __future__ import annotations

import os
import re
import shutil
from contextlib import AsyncExitStack
from pathlib import Path
from typing import TYPE_CHECKING, Self

from anyio import to_thread

from tests.docs.blocks import TREE, Block
from tests.docs.environment import environment
from tests.testkit.need import need
from tests.testkit.port import free_port
from tests.testkit.process import Process
from tests.testkit.service import Service
from tests.testkit.valkey import start_valkey
from tests.testkit.vercel.build import sources

if TYPE_CHECKING:
    from tests.testkit.valkey import Valkey

_OF_THE_MACHINE = re.compile(r"PATH|TMPDIR|PYENV_ROOT|(PIP|UV|SSL|NODE_EXTRA)_\w+|(HTTPS?|NO|ALL)_PROXY", re.I)
_TYPED = ("bash", "curl", "git", "make", "openssl")
_SOURCES = (".config/pip", ".pip", ".config/uv", ".cache/pip", ".cache/uv")
# What mypy remembers of the tree, by its files' hashes: else a page's `make types` takes 20 s of processor.
_REMEMBERED = {"CONTRIBUTING.md": ".mypy_cache"}
# The commands that a page takes from npm, and where the tests have them.
_NODE_MODULES = {"docs/deploy-lambda.md": "lambda", "docs/deploy-vercel.md": "vercel"}


class Stranger:
    """`async with Stranger(page, tmp_path) as stranger`. What it left running is ended with it.

    `meant` holds what stands for something else on the page: `localhost:8000` and addresses of examples. `open` are the
    terminals in which something still runs.
    """

    def __init__(self, page: str, top: Path) -> None:
        self.page = page
        self.home = top / "home"
        self.folder = self.home / "gapless"
        self.port = free_port()
        self.meant = {"localhost:8000": f"localhost:{self.port}"}
        self.open: list[Process] = []
        self.stack = AsyncExitStack()
        self._top = top
        self._store: Valkey | None = None
        self._services: dict[tuple[tuple[str, str], ...], Service] = {}

    async def __aenter__(self) -> Self:
        for program in _TYPED:
            need(shutil.which(program), f"{program} on PATH")
        await to_thread.run_sync(self._clone)
        return self

    async def __aexit__(self, *_: object) -> None:
        await self.stack.aclose()
        for terminal in self.open:
            await to_thread.run_sync(terminal.terminate)

    def _clone(self) -> None:
        """What git would hand out of the present tree, its environment already made; and where packages come from."""
        for name in sources(TREE):
            (self.folder / name).parent.mkdir(parents=True, exist_ok=True)
            shutil.copy2(TREE / name, self.folder / name)
        environment(self.folder)
        for name in _SOURCES:
            if (Path.home() / name).exists():
                (self.home / name).parent.mkdir(exist_ok=True)
                (self.home / name).symlink_to(Path.home() / name)
        if (remembered := _REMEMBERED.get(self.page)) and (TREE / remembered).exists():
            shutil.copytree(TREE / remembered, self.folder / remembered)
        if self.page in _NODE_MODULES:
            there = TREE / "tests" / _NODE_MODULES[self.page] / "node_modules"
            (self.folder / "node_modules").symlink_to(there)

    def read(self, text: str) -> str:
        """A text of the page with what is meant by it."""
        for shown, meant in self.meant.items():
            text = text.replace(shown, meant)
        return text

    async def types(self, block: Block) -> Process:
        """A block in a terminal of its own, as long as it runs and after."""
        return await to_thread.run_sync(self._type, block)

    def _type(self, block: Block) -> Process:
        return self._terminal(str(block), self.read(block.text))

    def run(self, line: str) -> None:
        """A command that the page tells of in its prose; it must succeed."""
        terminal = self._terminal(line, line)
        assert terminal.wait(alarm=60) == 0, terminal.log

    def _terminal(self, name: str, text: str) -> Process:
        return Process(name, ["bash", "-euo", "pipefail", "-c", text], env=self.env, cwd=self.folder)

    @property
    def env(self) -> dict[str, str]:
        """Of this machine its programs and its way to the network; no credentials, no settings of whoever tests."""
        kept = {name: value for name, value in os.environ.items() if _OF_THE_MACHINE.fullmatch(name)}
        quiet = {"npm_config_update_notifier": "false", "VERCEL_TELEMETRY_DISABLED": "1", "NO_UPDATE_NOTIFIER": "1"}
        alone = {"AWS_EC2_METADATA_DISABLED": "true", "HOME": str(self.home), "PORT": str(self.port), "CI": "true"}
        return {**kept, **quiet, **alone}

    @property
    def store(self) -> Valkey:
        """A Valkey of this page's own, over TCP."""
        if self._store is None:
            folder = self._top / "valkey"
            folder.mkdir()
            self._store = self.stack.enter_context(start_valkey(folder, port=None, unixsocket=False))
        return self._store

    async def service(self, **settings: str) -> Service:
        """A running service with these settings; the same one for the same settings."""
        key = tuple(sorted(settings.items()))
        if key not in self._services:
            service = Service({"REDIS_URL": self.store.tcp_url, **settings})
            self._services[key] = await self.stack.enter_async_context(service)
        return self._services[key]
