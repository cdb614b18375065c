"""Somebody who has the chat open in a window of their own, and what they see."""

from __future__ import annotations

import json
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any

import httpx
from playwright.async_api import Browser, Locator, Page, Route

from tests.testkit.alarm import auntil
from tests.testkit.browser import leave
from tests.testkit.service import Service

PATIENCE = 60_000
"""Milliseconds after which a page that shows nothing has failed: a look takes long on a busy machine."""


@asynccontextmanager
async def person(
    browser: Browser, url: str, name: str, room: str, *, rooms: tuple[str, ...] = (), **options: Any
) -> AsyncIterator[Page]:
    """A window of somebody at `url` whose page has caught up. `rooms` were opened before."""
    context = await browser.new_context(reduced_motion="reduce", **options)
    context.set_default_timeout(PATIENCE)
    kept = {"gapless name": name, "gapless rooms": json.dumps([room, *rooms])}
    # Once: what the page itself keeps later, a reload finds.
    await context.add_init_script(f"localStorage.length || Object.assign(localStorage, {json.dumps(kept)})")
    page = await context.new_page()
    try:
        await page.goto(f"{url}/?channel={room}")
        await page.locator("#state[data-state=live]").wait_for()
        await page.locator("#messages > li").first.wait_for(state="attached")
        yield page
    finally:
        await leave(context)


def publish(service: Service, room: str, *texts: str, user: str = "eve") -> None:
    """Say so in the room, in this order."""
    for start in range(0, len(texts), 100):
        body = [{"data": {"text": text}, "user": user} for text in texts[start : start + 100]]
        httpx.post(f"{service.url}/channels/{room}/messages", json=body, trust_env=False, timeout=60).raise_for_status()


def change(service: Service, room: str, id_: str | None, text: str, *, user: str) -> None:
    """As the author does on another device."""
    body = {"event": "edit", "ref": id_, "data": {"text": text}, "user": user}
    httpx.post(f"{service.url}/channels/{room}/messages", json=body, trust_env=False, timeout=60).raise_for_status()


async def write(page: Page, text: str) -> None:
    """Type it and send it."""
    await page.get_by_label("Message", exact=True).fill(text)
    await page.keyboard.press("Enter")


def text(page: Page, words: str) -> Locator:
    """The text of the message that says it."""
    return page.locator("#messages .text", has_text=words)


async def until_count(page: Page, selector: str, wanted: int, what: str) -> None:
    """Wait until so many elements are in the page."""

    async def count() -> bool:
        return await page.locator(selector).count() == wanted

    await auntil(count, what, alarm=PATIENCE / 1000, look=0.05)


async def refuse(route: Route) -> None:
    """As a service that takes no message now; what is read is read."""
    body = json.dumps({"detail": "Not today."})
    if route.request.method == "POST":
        await route.fulfill(status=403, content_type="application/problem+json", body=body)
    else:
        await route.continue_()
