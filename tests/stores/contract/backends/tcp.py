"""`redis://`: plain TCP."""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path

from tests.stores.contract.direct import Direct
from tests.testkit.valkey import start_valkey


@asynccontextmanager
async def run(folder: Path) -> AsyncIterator[Direct]:
    with start_valkey(folder, port=None) as valkey:
        yield Direct(valkey, valkey.tcp_url)
