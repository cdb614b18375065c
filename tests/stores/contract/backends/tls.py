"""`rediss://`: TLS before a Valkey that speaks none."""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path

from tests.stores.contract.backend import Keep
from tests.stores.contract.direct import Direct
from tests.testkit.tls import tls_front
from tests.testkit.valkey import start_valkey


@asynccontextmanager
async def run(folder: Path) -> AsyncIterator[Direct]:
    with start_valkey(folder / "valkey") as valkey, tls_front(valkey, folder) as front:
        backend = Direct(valkey, front.url)
        store = backend.open(Keep())
        await store.ping()
        await store.close()
        assert front.handshakes, "nothing went through TLS"
        yield backend
