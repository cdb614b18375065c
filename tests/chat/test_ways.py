"""The chat while the way to the service is cut, held back by a proxy, or leads below a path."""

from __future__ import annotations

from functools import partial

import pytest
from playwright.async_api import Browser, Page

from tests.chat.person import PATIENCE, person, publish, text, write
from tests.testkit.alarm import auntil
from tests.testkit.fault_proxy import FaultProxy
from tests.testkit.nginx import nginx
from tests.testkit.service import Service

pytestmark = pytest.mark.real(seconds=20)

WROTE = [f"line {n}" for n in range(20)]


async def shown(page: Page) -> list[str]:
    return await page.locator("#messages .text").all_inner_texts()


async def test_the_plug_is_pulled_in_one_window_while_the_other_writes(browser: Browser, service: Service) -> None:
    """All of it is there once, in order, as soon as the plug is in again, and so is what was written without it."""
    async with (
        FaultProxy(("127.0.0.1", service.port or 0)) as way,
        person(browser, f"http://127.0.0.1:{way.port}", "ann", "plug") as ann,
        person(browser, service.url, "bob", "plug") as bob,
    ):
        await ann.context.set_offline(True)
        way.cut_all()
        await ann.locator("#state[data-state=offline]").wait_for()
        await write(ann, "from the dark")
        for words in WROTE:
            await write(bob, words)
        await bob.locator(".sent .text", has_text="line 19").wait_for()
        await ann.get_by_text("You are offline. One message waits").wait_for()
        assert await shown(ann) == ["from the dark"]
        await ann.context.set_offline(False)
        await ann.locator("#state[data-state=live]").wait_for()
        for page in (ann, bob):
            await auntil(partial(_all, page), "all of it is in both windows", alarm=PATIENCE / 1000, look=0.05)
        assert await shown(ann) == await shown(bob) == [*WROTE, "from the dark"]
        await ann.locator(".delivered .text", has_text="from the dark").wait_for()
        await ann.locator("#banner").wait_for(state="hidden")


async def _all(page: Page) -> bool:
    return len(await shown(page)) == len(WROTE) + 1


async def test_below_a_path_behind_a_proxy_that_holds_back_over_a_restart(browser: Browser, service: Service) -> None:
    """As nginx does that speaks HTTP/1.0 to the service and ignores what it asks for. The page is loaded once."""
    held = "proxy_http_version 1.0; proxy_buffering on; proxy_ignore_headers X-Accel-Buffering;"
    publish(service, "held", "before")
    with nginx(f"location /live/ {{ proxy_pass {service.url}/; {held} }}") as url:
        async with person(browser, f"{url}/live", "ann", "held") as ann:
            await ann.evaluate("window.loadedOnce = true")
            assert await shown(ann) == ["before"]
            publish(service, "held", "one")
            await text(ann, "one").wait_for()
            await service.akill()
            try:
                await ann.locator("#state:not([data-state=live])").wait_for()
                await write(ann, "meanwhile")
                await text(ann, "meanwhile").wait_for()
            finally:
                await service.astart()
            publish(service, "held", "two")
            await ann.locator(".sent .text", has_text="meanwhile").wait_for()
            await text(ann, "two").wait_for()
            assert sorted(await shown(ann)) == ["before", "meanwhile", "one", "two"]
            assert await ann.evaluate("window.loadedOnce")
