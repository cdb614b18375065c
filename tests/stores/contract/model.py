"""The model on which feeds and streams are tested: where it can be asked, it answers as the stores do."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from gapless.log.store import Store
from tests.stores.contract.backend import Keep
from tests.stores.contract.publications import NOW
from tests.testkit.clock import VirtualClock
from tests.testkit.model_store import ModelStore


class _Stopped(VirtualClock):
    def now(self) -> float:
        return NOW / 1000


@dataclass
class Model:
    """One log for all stores that are opened between two flushes; nothing to look behind."""

    valkeys: tuple[()] = ()
    kept: ModelStore | None = None

    def open(self, keep: Keep) -> Store:
        if self.kept is None:
            self.kept = ModelStore(_Stopped(), cap=keep.cap, page=keep.page)
        return self.kept

    def __getattr__(self, name: str) -> Any:
        raise AssertionError(f"a model has no {name}: ask for the fixture `servers` or `fragile`")


@contextmanager
def run(_: Path) -> Iterator[Model]:
    yield Model()
