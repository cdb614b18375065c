"""A window on the page of a run."""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any

from playwright.async_api import Browser, Page

from tests.chat.person import PATIENCE
from tests.testkit.browser import leave


@asynccontextmanager
async def window(browser: Browser, url: str, run: str, **options: Any) -> AsyncIterator[Page]:
    """A window of its own on this run, whose page has caught up."""
    context = await browser.new_context(reduced_motion="reduce", **options)
    context.set_default_timeout(PATIENCE)
    page = await context.new_page()
    try:
        await page.goto(f"{url}/run?id={run}")
        await page.locator("#state[data-state=live]").wait_for()
        yield page
    finally:
        await leave(context)


async def over(page: Page, state: str) -> None:
    await page.locator(f"#paper[data-run={state}]").wait_for()
