"""The browser client in Firefox and WebKit: messages, two tabs, an outage, what was written meanwhile.

Not part of `.ci/run`, which installs neither browser: `make others`.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Any

import httpx
import pytest
from anyio import to_thread

from gapless.runtime.version import __version__
from tests.others.drivers import Browser, firefox, webkit
from tests.testkit.alarm import auntil
from tests.testkit.browser import empty_origin
from tests.testkit.service import Service
from tests.testkit.valkey import Valkey

pytestmark = [pytest.mark.real(seconds=30), pytest.mark.timeout(240)]

OPEN = """import("SERVICE/static/VERSION/gapless.js").then(({ gapless }) => {
  window.asked = [];
  const counted = (url, options) => (asked.push(String(url)), fetch(url, options));
  window.client = gapless("SERVICE", { user: "ann", fetch: counted });
  window.room = client.channel("general");
  room.subscribe(() => {});
})""".replace("VERSION", __version__)
ROWS = "room.messages.map(({ data, state }) => [data, state])"
STREAMS = "asked.filter((url) => url.includes('/stream?')).length"


@pytest.fixture(params=[firefox, webkit], ids=["firefox", "webkit"])
def browser(request: pytest.FixtureRequest) -> Iterator[Browser]:
    with request.param() as browser:
        yield browser


async def test_messages_tabs_and_an_outage(browser: Browser, valkey: Valkey) -> None:
    async with empty_origin() as origin:
        env = {"REDIS_URL": valkey.url, "GAPLESS_ORIGINS": origin, "GAPLESS_RETRY_MS": "200"}
        with Service(env) as service:

            async def ask(tab: str, script: str) -> Any:
                return await to_thread.run_sync(browser.evaluate, tab, script)

            async def see(tab: str, script: str, right: Callable[[Any], bool], what: str) -> None:
                async def look() -> bool:
                    return right(await ask(tab, script))

                await auntil(look, f"{what} in {tab}", alarm=40, look=0.1)

            def publish(data: str) -> None:
                url = f"{service.url}/channels/general/messages"
                httpx.post(url, json={"data": data, "user": "bob"}, trust_env=False).raise_for_status()

            for tab in ("one", "two"):
                await to_thread.run_sync(browser.open, tab, f"{origin}/")
                await ask(tab, OPEN.replace("SERVICE", service.url))
                await see(tab, "client.state", lambda state: state == "live", "live")
            await to_thread.run_sync(publish, "news")
            for tab in ("one", "two"):
                await see(tab, ROWS, lambda rows: rows == [["news", "sent"]], "a live message")
            assert [await ask(tab, STREAMS) for tab in ("one", "two")] == [1, 0]
            await service.akill()
            await ask("two", "void room.send('meanwhile')")
            await see("two", ROWS, lambda rows: rows[-1] == ["meanwhile", "sending"], "it waits")
            await service.astart()
            await see("two", ROWS, lambda rows: rows[-1] == ["meanwhile", "sent"], "it is sent")
            await to_thread.run_sync(publish, "after")
            wanted = ["news", "meanwhile", "after"]
            for tab in ("one", "two"):
                await see(tab, ROWS, lambda rows: [data for data, _ in rows] == wanted, "all, in order")
                assert await ask(tab, "client.problem") is None
