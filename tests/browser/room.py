"""A page that uses the browser client, and what it shows."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, NamedTuple

from playwright.async_api import Browser, BrowserContext, Page

from gapless.runtime.version import __version__
from tests.testkit.alarm import auntil
from tests.testkit.service import Service

_OPEN = """async ([from, base, options, channel, history]) => {
  const { gapless } = await import(`${from}/static/VERSION/gapless.js`);
  const { token, ...rest } = options;
  if (token) rest.token = () => window.makeToken();
  const client = window.client = gapless(base, rest);
  const room = window.room = client.channel(channel);
  window.states = [client.state];
  window.heard = [];
  client.subscribe(() => client.state !== window.states.at(-1) && window.states.push(client.state));
  for (const kind of ["gap", "live", "message"]) room.on(kind, (what) => window.heard.push([kind, what?.data ?? null]));
  window.leave = room.subscribe(() => {});
}""".replace("VERSION", __version__)  # the name under which browsers keep it: tabs after the first one load nothing
_ROWS = """() => room.messages.map((row) => ({...row, at: row.at.getTime()}))"""


PATIENCE = 60.0
"""Seconds after which a page that does not do what it should has failed. A busy machine takes long for all of it."""


class Row(NamedTuple):
    """One row, as far as tests look."""

    data: Any
    state: str


class Room:
    """A page with `window.client` and `window.room`."""

    def __init__(self, page: Page) -> None:
        self.page = page

    async def rows(self) -> list[dict[str, Any]]:
        rows: list[dict[str, Any]] = await self.page.evaluate(_ROWS)
        return rows

    async def shown(self) -> list[Row]:
        return [Row(row["data"], row["state"]) for row in await self.rows()]

    async def data(self) -> list[Any]:
        return [row["data"] for row in await self.rows()]

    async def unread(self) -> int:
        unread: int = await self.page.evaluate("room.unread")
        return unread

    async def send(self, *data: Any) -> None:
        """In one go, as a quick user would."""
        await self.page.evaluate("(all) => { for (const data of all) room.send(data); }", list(data))

    async def state(self) -> str:
        state: str = await self.page.evaluate("client.state")
        return state

    async def states(self) -> list[str]:
        """Each change of the client's state since it was opened."""
        states: list[str] = await self.page.evaluate("states")
        return states

    async def until_shown(self, wanted: list[Any], alarm: float = PATIENCE) -> None:
        """Until the rows' data are these, in this order."""
        await self.until(self.data, lambda data: data == wanted, f"{wanted} on the page", alarm)

    async def until_state(self, wanted: str, alarm: float = PATIENCE) -> None:
        await self.until(self.state, lambda state: state == wanted, f"the client is {wanted}", alarm)

    async def until(
        self, look: Callable[[], Any], true: Callable[[Any], Any], what: str, alarm: float = PATIENCE
    ) -> None:
        last: list[Any] = [None]

        async def check() -> bool:
            last[0] = await look()
            return bool(true(last[0]))

        try:
            await auntil(check, what, alarm=alarm, look=0.05)
        except AssertionError:
            raise AssertionError(f"{what}, not {last[0]!r}") from None


async def room(
    where: Browser | BrowserContext | Page,
    origin: str,
    service: str,
    channel: str,
    *,
    base: str | None = None,
    wait: str | None = "live",
    **options: Any,
) -> Room:
    """A page at `origin` that reads `channel`. Modules come from `service`, messages from `base` if given."""
    page = where if isinstance(where, Page) else await where.new_page()
    if page.url != f"{origin}/":
        await page.goto(f"{origin}/")
    await page.evaluate(_OPEN, [service, base or service, options, channel])
    shown = Room(page)
    if wait:
        await shown.until_state(wait)
    return shown


def preflights(service: Service, since: int = 0) -> list[str]:
    """What pages asked leave for, by path, from this line of the service's log on; no browser tells of these itself."""
    lines = (line.partition(": OPTIONS ")[2] for line in service.process.lines(since))
    return [line.split()[0] for line in lines if line]
