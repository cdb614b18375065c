"""One browser, one origin and one service for each file."""

from __future__ import annotations

from collections.abc import AsyncIterator, Iterator
from contextlib import suppress

import pytest
from playwright.async_api import Browser, BrowserContext, Error, Route

from tests.browser.room import PATIENCE
from tests.testkit.browser import chromium, empty_origin, leave
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
    context.set_default_timeout(1000 * PATIENCE)
    yield context
    await leave(context)


class Held:
    """Requests that are not answered. For each of them Playwright has a task that waits until it is let go."""

    def __init__(self) -> None:
        self._routes: list[Route] = []

    def hold(self, route: Route) -> None:
        self._routes.append(route)

    async def let_go(self) -> None:
        """While their pages are open."""
        while self._routes:
            with suppress(Error):  # the page may have left it meanwhile
                await self._routes.pop().abort()


@pytest.fixture
async def held(context: BrowserContext) -> AsyncIterator[Held]:
    """Lets go of what is held before the context is closed, when it would be too late."""
    held = Held()
    yield held
    await held.let_go()


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
