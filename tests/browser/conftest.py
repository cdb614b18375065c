"""One browser, one origin and one service for each file."""

from __future__ import annotations

from collections.abc import AsyncIterator, Iterator

import pytest
from playwright.async_api import Browser, BrowserContext

from tests.testkit.browser import chromium, empty_origin
from tests.testkit.service import Service
from tests.testkit.valkey import Valkey


@pytest.fixture(scope="module")
async def browser() -> AsyncIterator[Browser]:
    async with chromium() as browser:
        yield browser


@pytest.fixture
async def context(browser: Browser) -> AsyncIterator[BrowserContext]:
    """Tabs that know each other, and no others."""
    context = await browser.new_context()
    yield context
    await context.close()


@pytest.fixture(scope="module")
async def origin() -> AsyncIterator[str]:
    """Where pages are: not the service's origin."""
    async with empty_origin() as origin:
        yield origin


@pytest.fixture(scope="module")
def service(valkey_server: Valkey, origin: str) -> Iterator[Service]:
    env = {"REDIS_URL": valkey_server.url, "GAPLESS_ORIGINS": origin, "GAPLESS_RETRY_MS": "100"}
    with Service(env) as service:
        yield service
