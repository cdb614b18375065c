"""Headless Chromium whose own EventSource reads a stream, and what it saw."""

from __future__ import annotations

import os
import shutil
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from playwright.async_api import Browser, BrowserContext, Page, async_playwright

from tests.testkit.alarm import auntil
from tests.testkit.listener import Listener
from tests.testkit.need import need
from tests.testkit.seen import OWN_EVENTS, Seen, Sight

if TYPE_CHECKING:
    import asyncio
    from collections.abc import AsyncIterator, Callable, Collection

# Nothing that calls home, nothing that needs a display or a privilege.
FLAGS = (
    "--headless",
    "--no-sandbox",
    "--disable-gpu",
    "--disable-quic",
    "--no-first-run",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-sync",
)

# Runs in the page. `seen` grows for ever; the test reads it from where it left off.
_LISTEN = """([url, events, withCredentials]) => {
  const source = new EventSource(url, {withCredentials});
  const seen = window.__seen = {messages: [], opens: 0, errors: 0, source};
  source.onopen = () => { seen.opens += 1; };
  source.onerror = () => { seen.errors += 1; };
  const keep = (e) => seen.messages.push([e.lastEventId, e.type, e.data]);
  for (const name of events) source.addEventListener(name, keep);
}"""
_READ = """(from) => {
  const {messages, opens, errors, source} = window.__seen;
  return [messages.slice(from), opens, errors, source.readyState];
}"""


# A look goes through three processes and costs each some milliseconds.
_LOOK = 0.05
# Milliseconds in which a browser has started, also on a machine that starts several.
_START = 120_000


@dataclass
class PageStream(Sight):
    """An EventSource in `page`. What it saw is as of the last `look` (`until` and `close` look too).

    `errors` counts `error` events: the browser reconnects after each, unless `closed`.
    """

    page: Page = field(kw_only=True)

    async def look(self) -> None:
        """Fetch what is new from the page."""
        new, self.opens, self.errors, state = await self.page.evaluate(_READ, len(self.seen))
        self.seen += [Seen(*one) for one in new]
        self.closed = state == 2

    async def until(self, true: Callable[[PageStream], object], what: str, *, alarm: float = 30.0) -> None:
        """Look until `true(self)`; Alarm naming `what` after `alarm` seconds."""

        async def check() -> object:
            await self.look()
            return true(self)

        await auntil(check, what, alarm=alarm, look=_LOOK)

    async def close(self) -> None:
        """Close the EventSource; what it had seen by then is fetched."""
        await self.page.evaluate("() => window.__seen.source.close()")
        await self.look()


def chromium_binary(*, whole: bool = False) -> str:
    """`CHROMIUM`, else the one on PATH.

    Where Debian's package is installed, it is the headless shell, which takes two thirds of the processor time. It has
    neither profiles nor a back/forward cache: a test of those asks for the `whole` browser.
    """
    names = ("chromium", "chromium-browser") if whole else ("chromium-headless-shell", "chromium", "chromium-browser")
    found = os.environ.get("CHROMIUM") or next(filter(None, map(shutil.which, names)), None)
    need(found, "Chromium (apt-get install chromium, or CHROMIUM=/path/to/it)")
    assert found is not None
    return found


@asynccontextmanager
async def chromium() -> AsyncIterator[Browser]:
    """A browser. Not on virtual time. Pages of `browser.new_page()` have cookies of their own."""
    binary = chromium_binary()
    async with async_playwright() as playwright:
        browser = await playwright.chromium.launch(executable_path=binary, args=list(FLAGS), timeout=_START)
        try:
            yield browser
        finally:
            await browser.close()


async def leave(context: BrowserContext) -> None:
    """Close it while requests that the test answers are under way. What their handlers say then is no next test's."""
    for one in (*context.pages, context):
        await one.unroute_all(behavior="ignoreErrors")
    await context.close()


@asynccontextmanager
async def event_source(
    browser: Browser | Page,
    url: str,
    *,
    page_url: str,
    events: Collection[str] = ("message", *OWN_EVENTS),
    with_credentials: bool = False,
) -> AsyncIterator[PageStream]:
    """A page at `page_url` whose EventSource reads `url` (absolute, or relative to the page).

    `browser` may be a page with cookies set already; it is then navigated, and left open at the end.
    """
    page = browser if isinstance(browser, Page) else await browser.new_page()
    try:
        await page.goto(page_url)
        await page.evaluate(_LISTEN, [url, list(events), with_credentials])
        yield PageStream(page=page)
    finally:
        if page is not browser:
            await page.close()


@asynccontextmanager
async def empty_origin(host: str = "127.0.0.1") -> AsyncIterator[str]:
    """A server of one empty page, for its origin: `http://host:port`. `localhost` is another site than `127.0.0.1`."""

    async def answer(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await reader.readuntil(b"\r\n\r\n")
        writer.write(b"HTTP/1.1 200 OK\r\nContent-Type: text/html\r\nContent-Length: 22\r\n")
        writer.write(b"Connection: close\r\n\r\n<!doctype html><title>")

    async with Listener(answer, host=host) as listener:
        yield f"http://{host}:{listener.port}"
