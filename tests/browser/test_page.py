"""The client among others: loaded twice, under a content policy, and in a crowd through a bad network."""

from __future__ import annotations

import asyncio
from typing import Any

import httpx
import pytest
from playwright.async_api import BrowserContext

from gapless.runtime.version import __version__
from tests.browser.room import Room, Row, room
from tests.testkit.alarm import auntil
from tests.testkit.fault_proxy import Cut, FaultProxy, Jitter
from tests.testkit.service import Service

pytestmark = pytest.mark.real(seconds=5)

ROUNDS = 5
CUTS = 3
"""In each round, besides one cut of everything: of the next bytes that pass, whichever they are."""
TWICE = """async (names) => {
  const [one, other] = await Promise.all(names.map((name) => import(name)));
  const [first, second] = [one, other].map(({ gapless }) => gapless(undefined, { user: "ann" }));
  window.client = first;
  window.room = first.channel("copies");
  const ends = [room.subscribe(() => {}), second.channel("copies").subscribe(() => {})];
  return [one === other, first === second, first.channel("copies") === second.channel("copies"), ends.length];
}"""
WATCH = """
window.violations = [];
document.addEventListener("securitypolicyviolation", (event) => violations.push(event.violatedDirective));
"""


async def test_copies_that_are_loaded_twice_share_one_client_and_no_policy_is_broken(
    context: BrowserContext, service: Service
) -> None:
    """On the service's own page, whose policy allows nothing inline and no other address."""
    page = await context.new_page()
    asked: list[str] = []
    page.on("request", lambda request: asked.append(request.url) if "/stream?channel=copies" in request.url else None)
    await page.add_init_script(WATCH)
    await page.goto(f"{service.url}/?channel=elsewhere")
    modules = [f"{service.url}/static/{folder}gapless.js" for folder in ("", f"{__version__}/")]
    assert await page.evaluate(TWICE, modules) == [False, True, True, 2]
    shown = Room(page)  # whose looks are no functions of the page: its policy allows no eval
    await shown.until_state("live")
    await page.evaluate("room.send('x')")
    await shown.until(shown.shown, lambda rows: rows == [Row("x", "sent")], "sent")
    assert (len(asked), await page.evaluate("violations")) == (1, [])


async def test_ten_pages_among_faults_show_what_the_log_holds(
    context: BrowserContext, origin: str, service: Service
) -> None:
    """Every page writes, connections are cut all the time: each list is the log in the end, each message there once."""
    assert context.browser
    others = [await context.browser.new_context() for _ in range(2)]
    async with FaultProxy(("127.0.0.1", service.port or 0), seed=16) as proxy:
        base = f"http://127.0.0.1:{proxy.port}"
        proxy.arm(Jitter(0, 0.02))
        places = [context, *others]
        pages = [
            await room(places[n % 3], origin, service.url, "crowd", base=base, user=f"user{n % 5}") for n in range(10)
        ]
        for number in range(ROUNDS):
            cuts = proxy.arm(Cut(), times=CUTS)
            await asyncio.gather(*(page.send(f"{index}.{number}") for index, page in enumerate(pages)))
            await auntil(lambda: cuts.hits == CUTS, "what is sent meets its cuts", alarm=20)  # noqa: B023
            proxy.cut_all()
        proxy.disarm_all()
        for page in pages:
            await page.until(page.shown, _all_sent, "all of them are sent", alarm=40)
        log = [one["data"] for one in _log(service)]
        assert len(log) == len(set(log)) == 10 * ROUNDS
        for index in range(10):
            mine = [data for data in log if data.startswith(f"{index}.")]
            assert mine == [f"{index}.{number}" for number in range(ROUNDS)], (
                "each in the order in which it was written"
            )
        for page in pages:
            await page.until_shown(log)
    for other in others:
        await other.close()


def _all_sent(rows: Any) -> bool:
    return len(rows) == 10 * ROUNDS and {row.state for row in rows} == {"sent"}


def _log(service: Service) -> list[dict[str, Any]]:
    reply = httpx.get(f"{service.url}/channels/crowd/messages?limit=200", trust_env=False)
    messages: list[dict[str, Any]] = reply.json()["messages"]
    return messages
