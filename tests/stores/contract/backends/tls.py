"""`rediss://`: TLS before a Valkey that speaks none."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from tests.stores.contract.direct import Direct
from tests.testkit.tls import tls_front
from tests.testkit.valkey import start_valkey


@contextmanager
def run(folder: Path) -> Iterator[Direct]:
    with start_valkey(folder / "valkey") as valkey, tls_front(valkey, folder) as front:
        yield Direct(valkey, front.url)
        assert front.handshakes, "nothing went through TLS"
