"""Real pages with the browser client among the crowd: each shows what the log holds in the end, or shows the gap."""

from __future__ import annotations

from contextlib import asynccontextmanager, suppress
from itertools import pairwise
from typing import TYPE_CHECKING, Any

from gapless.runtime.version import __version__
from tests.testkit.alarm import Alarm, auntil
from tests.testkit.browser import chromium, empty_origin

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Mapping, Sequence

    from playwright.async_api import Page

_OPEN = f"""async ([service, channel]) => {{
  const {{ gapless }} = await import(`${{service}}/static/{__version__}/gapless.js`);
  window.client = gapless(service, {{ tabs: false }});
  window.room = client.channel(channel);
  room.subscribe(() => {{}});
}}"""
_ROWS = "room.messages.map(({ id, gapBefore }) => ({ id, gap: Boolean(gapBefore) }))"


class Pages:
    """Each reads one channel from one service, as nobody: what is known of those who are there is the crowd's alone."""

    def __init__(self) -> None:
        self._pages: list[tuple[str, Page]] = []

    @asynccontextmanager
    async def reading(self, urls: Sequence[str], channels: Sequence[str], count: int) -> AsyncIterator[None]:
        """So many pages are open, on these services and channels by turns."""
        if not count:
            yield
            return
        async with chromium() as browser, empty_origin() as origin:
            context = await browser.new_context()
            for n in range(count):
                page = await context.new_page()
                await page.goto(f"{origin}/")
                channel = channels[n % len(channels)]
                await page.evaluate(_OPEN, [urls[n % len(urls)], channel])
                self._pages.append((channel, page))
            yield
            await context.close()

    async def late(self, heads: Mapping[str, str]) -> list[str]:
        """Which do not show these ids last, by name."""
        newest = [(channel, await page.evaluate("room.messages.at(-1)?.id")) for channel, page in self._pages]
        return [f"page {n}: {channel}" for n, (channel, id_) in enumerate(newest) if id_ != heads[channel]]

    async def settle(self, heads: Mapping[str, str], alarm: float) -> list[str]:
        """Wait until all show these ids last, for so many seconds; which do not, by name."""
        with suppress(Alarm):
            await auntil(lambda: self._there(heads), "all pages at the head", alarm=alarm, look=0.2)
        return await self.late(heads)

    async def _there(self, heads: Mapping[str, str]) -> bool:
        return not await self.late(heads)

    async def findings(self, logs: Mapping[str, Sequence[str]]) -> list[str]:
        """What is wrong with each, in words. `logs`: the ids that each channel's log holds, oldest first."""
        shown = [(channel, await page.evaluate(_ROWS)) for channel, page in self._pages]
        found = [(n, wrong(rows, logs[channel])) for n, (channel, rows) in enumerate(shown)]
        return [f"page {n}: {what}" for n, what in found if what]


def wrong(rows: Sequence[Mapping[str, Any]], log: Sequence[str]) -> str | None:
    """`rows`: an `id` each, and whether a `gap` is shown before it. Nothing is missing, doubled or reordered untold."""
    for before, after in pairwise(rows):
        if not after["gap"] and not _is_next(before["id"], after["id"]):
            return f"{after['id']} comes after {before['id']}"
    if not rows:
        return "it shows nothing"
    told = max((n for n, row in enumerate(rows) if row["gap"]), default=0)
    known = [row["id"] for row in rows[told:]][-len(log) :]
    if known != list(log[-len(known) :]):
        return f"its newest {len(known)} are not the log's, up to {known[-1:]} and {list(log[-1:])}"
    return None


def _is_next(before: str, after: str) -> bool:
    (epoch, seq, _), (other, following, _) = before.split("-"), after.split("-")
    return epoch == other and int(following) == int(seq) + 1
