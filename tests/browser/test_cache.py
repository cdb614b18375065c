"""A leader in the back/forward cache, whose script is stopped: it lets go, and goes on when it is shown again."""

from __future__ import annotations

from collections.abc import AsyncIterator

import pytest
from playwright.async_api import Browser, async_playwright

from tests.browser.room import room
from tests.testkit.browser import FLAGS, chromium_binary
from tests.testkit.service import Service

pytestmark = pytest.mark.real(seconds=6)


@pytest.fixture
async def caching() -> AsyncIterator[Browser]:
    """Playwright switches the cache off in all browsers that it starts."""
    options = {"executable_path": chromium_binary(whole=True), "args": list(FLAGS)}
    async with async_playwright() as playwright:
        off = ["--disable-back-forward-cache"]
        browser = await playwright.chromium.launch(**options, ignore_default_args=off)
        yield browser
        await browser.close()


async def test_the_leader_is_in_the_cache_and_comes_back(caching: Browser, origin: str, service: Service) -> None:
    context = await caching.new_context()
    tabs = [await room(context, origin, service.url, "cached", user="ann") for _ in range(3)]
    leader = tabs[0].page
    await leader.evaluate("addEventListener('pageshow', ({persisted}) => (window.persisted = persisted))")
    await leader.goto(f"{origin}/away")
    await tabs[1].send("meanwhile")
    for tab in tabs[1:]:
        await tab.until_shown(["meanwhile"])
        assert await tab.states() == ["idle", "connecting", "live"]
    await leader.go_back(wait_until="commit")
    await leader.wait_for_function("window.persisted !== undefined")
    assert await leader.evaluate("window.persisted") is True
