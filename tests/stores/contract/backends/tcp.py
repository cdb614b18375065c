"""`redis://`: plain TCP."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from tests.stores.contract.direct import Direct
from tests.testkit.valkey import start_valkey


@contextmanager
def run(folder: Path) -> Iterator[Direct]:
    with start_valkey(folder, port=None) as valkey:
        yield Direct(valkey, valkey.tcp_url)
