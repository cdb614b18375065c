"""The page /run in a real Chromium: a text that is written while it is read, and what may become of its writer."""

from __future__ import annotations

from functools import partial
from typing import Any

import httpx
import pytest
from playwright.async_api import Browser, Page

from gapless.services.typewriter import ANSWER, QUESTION
from tests.chat.person import PATIENCE
from tests.chat.run_window import over, window
from tests.testkit.alarm import auntil
from tests.testkit.nginx import nginx
from tests.testkit.service import Service

pytestmark = pytest.mark.real(seconds=20)


async def written(page: Page) -> str:
    return await page.locator("#text").evaluate("(one) => one.textContent")


async def until_written(page: Page, least: int) -> None:
    async def check() -> bool:
        return len(await written(page)) >= least

    await auntil(check, f"{least} characters are shown", alarm=PATIENCE / 1000, look=0.05)


def log(service: Service, run: str) -> list[dict[str, Any]]:
    reply = httpx.get(f"{service.url}/channels/run:{run}/messages?limit=200", trust_env=False, timeout=60)
    messages: list[dict[str, Any]] = reply.json()["messages"]
    return messages


def say(service: Service, run: str, message: dict[str, Any]) -> int:
    """The status with which this message is taken."""
    url = f"{service.url}/channels/run:{run}/messages"
    return httpx.post(url, json=message, trust_env=False, timeout=60).status_code


def ends(service: Service, run: str) -> list[str]:
    return [one["data"]["reason"] for one in log(service, run) if one["event"] == "finish"]


async def test_a_run_is_there_once_in_order_over_a_reload_and_a_cut(browser: Browser, service: Service) -> None:
    async with window(browser, service.url, "whole") as ann, window(browser, service.url, "whole") as bob:
        await ann.get_by_text("Nothing is written yet").wait_for()
        await ann.get_by_role("button", name="Start").click()
        await until_written(bob, 20)
        await bob.get_by_role("button", name="Pull the plug").click()
        await bob.get_by_label("Cut my network").check()
        await ann.reload()  # this breaks off the request that started the run
        await ann.locator("#state[data-state=live]").wait_for()
        assert await ann.get_by_text(QUESTION).is_visible()
        before = len(await written(ann))
        assert before >= 20, "what was written is there"
        await until_written(ann, before + 20)
        dark = await written(bob)
        await bob.get_by_label("Cut my network").uncheck()
        assert ANSWER.startswith(dark)
        for page in (ann, bob):
            await over(page, "done")
            assert await written(page) == ANSWER
            assert await page.locator("#tokens").inner_text() == f"{len(ANSWER.split())} tokens"
        said = await ann.locator("#spoken p").all_text_contents()
        assert said and "".join(ANSWER.split()).endswith("".join("".join(said).split())), "what is new, in sentences"
        assert all(one.endswith((".", ":")) for one in said)
    assert ends(service, "whole") == ["done"]


async def test_one_window_stops_it_for_all(browser: Browser, service: Service) -> None:
    async with window(browser, service.url, "stop") as ann, window(browser, service.url, "stop") as bob:
        await ann.get_by_role("button", name="Start").click()
        await until_written(bob, 20)
        async with bob.expect_request("**/messages") as asked:
            await bob.get_by_role("button", name="Stop").click()
        for page in (ann, bob):
            await over(page, "stopped")
        again: dict[str, Any] = (await asked.value).post_data_json
        for reason, status in (("stopped", 200), ("timeout", 409)):  # as readers say who had not heard of it yet
            assert say(service, "stop", {**again, "data": {"reason": reason}}) == status
        shown = await written(ann)
        assert shown == await written(bob) and ANSWER.startswith(shown) and shown != ANSWER
        await bob.get_by_role("button", name="Start another").click()
        await until_written(bob, 5)
        await bob.get_by_role("button", name="Stop").click()
        await over(bob, "stopped")
        await bob.go_back()
        await auntil(partial(_shows, bob, shown), "the run before is shown again", alarm=60)
        assert await written(ann) == shown
    assert ends(service, "stop") == ["stopped"]


async def _shows(page: Page, text: str) -> bool:
    return await written(page) == text


@pytest.mark.parametrize("how", ["killed", "restarted"])
async def test_a_writer_that_is_gone_is_one_end_for_all_readers(browser: Browser, service: Service, how: str) -> None:
    async with window(browser, service.url, how) as ann, window(browser, service.url, how) as bob:
        await ann.get_by_role("button", name="Start").click()
        await until_written(bob, 20)
        if how == "killed":
            await ann.get_by_role("button", name="Kill the writer").click()
        else:
            await service.akill()
            await service.astart()
        for page in (ann, bob):
            await over(page, "timeout")
            await page.get_by_text("The writer is gone", exact=True).wait_for()
        shown = await written(ann)
        assert shown == await written(bob) and ANSWER.startswith(shown) and shown != ANSWER
        async with window(browser, service.url, how) as late:
            await over(late, "timeout")
            assert await written(late) == shown
    assert ends(service, how) == ["timeout"]


async def test_a_run_that_is_refused_says_why_and_can_be_started_again(browser: Browser, service: Service) -> None:
    async with window(browser, service.url, "refused") as ann:
        busy = '{"detail": "8 runs are under way."}'
        await ann.route(
            "**/run", lambda route: route.fulfill(status=429, content_type="application/problem+json", body=busy)
        )
        await ann.get_by_role("button", name="Start").click()
        await ann.get_by_text("8 runs are under way.").wait_for()
        await ann.unroute("**/run")
        await ann.keyboard.press("Enter")  # the button has kept the focus
        await until_written(ann, 5)
        assert await ann.get_by_text("8 runs").count() == 0
        await ann.keyboard.press("Enter")
        await over(ann, "stopped")


async def test_below_a_path_and_opened_while_the_service_is_away(browser: Browser, service: Service) -> None:
    with nginx(f"location /live/ {{ proxy_pass {service.url}/; proxy_buffering off; }}") as url:
        page = await browser.new_page()
        page.set_default_timeout(PATIENCE)
        await page.route("**/run/run.js", lambda route: route.abort())
        await page.goto(f"{url}/live/run?id=below")
        await page.get_by_text("The service does not answer. Trying again…").wait_for()
        await page.unroute("**/run/run.js")
        await page.locator("#state[data-state=live]").wait_for()  # it has loaded itself anew
        await page.get_by_role("button", name="Start").click()
        await until_written(page, 5)
        await page.get_by_role("button", name="Stop").click()
        await over(page, "stopped")
        assert await page.get_by_role("link", name="Second window").evaluate("(one) => one.href") == page.url
        await page.get_by_role("link", name="Chat").click()
        await page.wait_for_url(f"{url}/live/")
        await page.locator("#messages").wait_for()
        await page.close()
    assert ends(service, "below") == ["stopped"]
