"""One browser and one service for each file."""

from __future__ import annotations

import json
from collections.abc import AsyncIterator, Iterator

import pytest
from playwright.async_api import Browser

from tests.testkit.browser import chromium
from tests.testkit.service import Service
from tests.testkit.valkey import Valkey

CAP = 12_000


@pytest.fixture(scope="module")
async def browser() -> AsyncIterator[Browser]:
    async with chromium() as browser:
        yield browser


@pytest.fixture(scope="module")
def service(valkey_server: Valkey) -> Iterator[Service]:
    """Open, so that a proxy may stand before it; every channel offers all that goes on around messages."""
    kinds = json.dumps({"": {"cap": CAP, "burst": CAP, "signals": True, "receipts": True, "presence": True}})
    env = {
        "REDIS_URL": valkey_server.url,
        "GAPLESS_NAMESPACES": kinds,
        "GAPLESS_RETRY_MS": "50",
        "GAPLESS_PUBLIC": "true",
    }
    with Service(env) as service:
        yield service
