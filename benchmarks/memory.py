"""Two tabs that read for twenty minutes, with a stream that ends every second: what they hold, minute by minute.

`MINUTES=3 make bench ARGS=memory` is a shorter run with as many messages a second.
"""

from __future__ import annotations

import asyncio
import os

import httpx
from playwright.async_api import CDPSession, Page

from benchmarks.server import serving, valkey
from gapless.runtime.version import __version__
from tests.testkit.browser import chromium, empty_origin
from tests.testkit.page_memory import heap, resident

MINUTES, A_MINUTE = int(os.environ.get("MINUTES", "20")), 500  # messages
LIFETIME = 1.0
MIB = 1024 * 1024
_OPEN = f"""async (service) => {{
  const {{ gapless }} = await import(`${{service}}/static/{__version__}/gapless.js`);
  window.client = gapless(service, {{ user: "ann" }});
  window.room = client.channel("bench");
  window.states = [];
  client.subscribe(() => client.state !== states.at(-1) && states.push(client.state));
  room.subscribe(() => {{}});
}}"""


def main() -> None:
    """Print the heap of each tab and the renderers' resident memory at every minute."""
    env = {"GAPLESS_LIFETIME": str(LIFETIME), "GAPLESS_RATE": "0", "GAPLESS_ORIGINS": "*", "GAPLESS_CAP": "20000"}
    with valkey() as url, serving("gapless.asgi:app", {"REDIS_URL": url, **env}) as server:
        asyncio.run(measure(server.url))


async def measure(server: str) -> None:
    async with httpx.AsyncClient(base_url=server, timeout=60) as http, chromium() as browser, empty_origin() as origin:
        context = await browser.new_context()
        tabs = [await context.new_page() for _ in range(2)]
        streams: list[str] = []
        context.on("request", lambda request: streams.append("") if "/stream?" in request.url else None)
        for tab in tabs:
            await tab.goto(f"{origin}/")
            await tab.evaluate(_OPEN, server)
        sessions = [await context.new_cdp_session(tab) for tab in tabs]
        print(f"{'minute':>6}{'messages':>10}{'streams':>9}{'heaps, MiB':>16}{'resident, MiB':>15}{'rows':>12}")
        for minute in range(MINUTES + 1):
            if minute:
                await write(http, minute)
            await tell(minute, len(streams), tabs, sessions)
        print(f"states: {await tabs[0].evaluate('states')}, {await tabs[1].evaluate('states')}")


async def write(http: httpx.AsyncClient, minute: int) -> None:
    """A minute's messages, evenly."""
    clock = asyncio.get_running_loop().time
    began = clock()
    for n in range(A_MINUTE):
        body = {"data": {"text": f"Message {n} of minute {minute}: {'words ' * 20}"}, "user": "bob"}
        (await http.post("/channels/bench/messages", json=body)).raise_for_status()
        await asyncio.sleep(max(0.0, began + (n + 1) * 60 / A_MINUTE - clock()))


async def tell(minute: int, streams: int, tabs: list[Page], sessions: list[CDPSession]) -> None:
    heaps = " ".join([f"{await heap(session) / MIB:.2f}" for session in sessions])
    rows = " ".join([str(await tab.evaluate("room.messages.length")) for tab in tabs])
    print(f"{minute:6}{minute * A_MINUTE:10}{streams:9}{heaps:>16}{resident() / MIB:15.1f}{rows:>12}", flush=True)
