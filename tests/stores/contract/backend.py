"""What the contract needs of a backend."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from contextlib import AbstractAsyncContextManager, AbstractContextManager
from dataclasses import dataclass, field
from importlib import import_module
from pathlib import Path
from pkgutil import iter_modules
from typing import Protocol

import pytest

from gapless.log.store import Store
from gapless.stores.scripts import Layout
from tests.stores.contract import backends
from tests.testkit.valkey import Valkey


@dataclass(frozen=True)
class Keep:
    """What a store is opened with. A small cap, so that trimming is soon reached; seconds; entries a read."""

    prefix: str = "gapless"
    cap: int = 20
    retention: int = 3600
    page: int = 50
    cap_bytes: int = 67_108_864

    def layout(self, database: int) -> Layout:
        return Layout(self.prefix, database, self.cap, self.retention, self.cap_bytes)


@dataclass
class Losses:
    """Replies to scripts that are lost on their way back: `due` more of them; `lost` so far.

    `then` is called where one has come back and is lost: all was written by then, and nobody has been told.
    """

    then: Callable[[], None] = lambda: None
    due: int = field(default=0, init=False)
    lost: int = field(default=0, init=False)

    def strike(self) -> bool:
        """True where the reply to the script that is under way shall be lost."""
        if not self.due:
            return False
        self.due -= 1
        self.lost += 1
        return True


class Backend(Protocol):
    """A kind of store, and the servers behind it."""

    @property
    def valkeys(self) -> Sequence[Valkey]:
        """Every server that holds data; none for a model."""

    def keeper(self, channel: str) -> Valkey:
        """The server that holds the keys of this channel."""

    def open(self, keep: Keep) -> Store:
        """A store, as one more process of the service would open it. The caller closes it."""

    def lossy(self, losses: Losses) -> AbstractAsyncContextManager[Backend]:
        """The same servers by a way on which replies are lost: executed, but never answered."""

    def silence(self) -> int:
        """Cut every subscription on the server's side; how many there were."""

    def hurry(self, patch: pytest.MonkeyPatch, seconds: float) -> None:
        """Stores opened from now on wait for a silent server for about so long, instead of some seconds."""


class Kind(Protocol):
    """A module of `backends/`."""

    def run(self, folder: Path) -> AbstractContextManager[Backend]:
        """Servers of their own, for as long as the block runs."""


def kinds() -> dict[str, Kind]:
    """Every backend there is, by the name of its module."""
    names = sorted(module.name for module in iter_modules(backends.__path__))
    return {name: import_module(f"{backends.__name__}.{name}") for name in names}
