"""A page in a real Chromium: at some origin, with or without the service's cookie."""

from __future__ import annotations

import time
from dataclasses import dataclass
from typing import Any

from playwright.async_api import Browser, BrowserContext, Page

from tests.testkit.forge import Secret, claims_of
from tests.testkit.service import Service

FETCH = """async ([url, options]) => {
  try {
    const reply = await fetch(url, options);
    const after = reply.headers.get("Retry-After");
    return [reply.type, reply.status, reply.type === "opaque" ? "" : await reply.text(), after];
  } catch (error) {
    return ["failed", 0, String(error), null];
  }
}"""


@dataclass
class Tab:
    """A page at some origin, in a browser of its own cookies."""

    page: Page

    async def fetch(self, url: str, **options: Any) -> tuple[str, int, str, str | None]:
        kind, status, text, after = await self.page.evaluate(FETCH, [url, options])
        return kind, status, text, after


async def signed_in(browser: Browser, service: Service, sub: str = "ann") -> BrowserContext:
    """A browser that has the service's cookie."""
    context = await browser.new_context()
    await context.add_cookies([{"name": "gapless_token", "value": token(sub), "url": service.url}])
    return context


async def at(context: BrowserContext | Browser, origin: str) -> Tab:
    page = await context.new_page()
    await page.goto(origin)
    return Tab(page)


def token(sub: str = "ann", seconds: int = 600) -> str:
    return Secret().sign(claims_of(time.time(), sub=sub, exp=int(time.time()) + seconds))
