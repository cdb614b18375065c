"""What a page asks for: each of its files once at the first visit, and nothing but itself at the next."""

from __future__ import annotations

import pytest
from playwright.async_api import Browser, Page

from gapless.api.page_files import modules, version
from tests.chat.person import PATIENCE
from tests.testkit.alarm import auntil
from tests.testkit.service import Service

pytestmark = pytest.mark.real(seconds=5)

FILES = {
    "": ["page.js", "page.css", *modules("chat/chat.js")],
    "run": ["page.js", "page.css", "run.css", *modules("run/run.js")],
}


@pytest.mark.parametrize("path", FILES)
async def test_every_file_is_asked_for_once_and_kept(browser: Browser, service: Service, path: str) -> None:
    context = await browser.new_context()
    context.set_default_timeout(PATIENCE)
    page = await context.new_page()
    first = await visit(page, service, path)
    assert first == sorted(f"/static/{version()}/{name}" for name in FILES[path])
    assert await visit(page, service, path) == [], "a browser has them"
    await context.close()


async def visit(page: Page, service: Service, path: str) -> list[str]:
    """The files that the service was asked for, but for the icon, which browsers ask for when they like."""
    before = len(service.process.lines())
    await page.goto(f"{service.url}/{path}")
    await page.locator("#state[data-state=live]").wait_for()
    # Its script has run then, and asked for what was written. All its files were asked for before, and told of.
    await auntil(lambda: any(": GET /channels/" in line for line in service.process.lines(before)), "it reads")
    asked = [line.partition(": GET ")[2].split() for line in service.process.lines(before)]
    return sorted(words[0] for words in asked if words and words[0].startswith("/static/") and "icon" not in words[0])
