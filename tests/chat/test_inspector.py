"""What the first page shows where its plug is pulled: switches that do what they say, and numbers that are true."""

from __future__ import annotations

import re

import pytest
from playwright.async_api import Browser, Page

from tests.chat.person import PATIENCE, person, refuse, text, until_count, write
from tests.testkit.alarm import auntil
from tests.testkit.service import Service

pytestmark = pytest.mark.real(seconds=10)


async def numbers(page: Page) -> list[str]:
    """Sent, seen here, missing."""
    return await page.locator("#counted dd").all_inner_texts()


async def until_numbers(page: Page, *wanted: str) -> None:
    async def check() -> bool:
        return await numbers(page) == list(wanted)

    await auntil(check, f"{wanted} are shown", alarm=PATIENCE / 1000, look=0.05)


async def said(page: Page, what: str) -> str:
    return await page.locator(f"[data-is={what}]").inner_text()


async def test_what_is_missing_while_the_plug_is_out_is_there_once_it_is_in(browser: Browser, service: Service) -> None:
    async with person(browser, service.url, "ann", "out") as ann:
        await ann.get_by_role("button", name="Pull the plug").click()
        await until_numbers(ann, "0", "0", "0")
        await ann.get_by_role("button", name="Let a robot write 20").click()
        await until_numbers(ann, "20", "20", "0")
        await ann.get_by_label("Cut my network").check()
        await ann.locator("#state[data-state=reconnecting]").wait_for()
        await ann.locator("[data-is=stream]", has_text="none").wait_for()
        await ann.get_by_role("button", name="Let a robot write 20").click()
        await until_numbers(ann, "40", "20", "20")
        await write(ann, "in the dark")
        await ann.get_by_text("One message waits").wait_for()
        await ann.locator("[data-is=waiting]", has_text="1").wait_for()
        await ann.get_by_label("Cut my network").uncheck()
        await until_numbers(ann, "41", "41", "0")
        await ann.locator("#state[data-state=live]").wait_for()
        lines = await ann.locator("#messages .text").all_inner_texts()
        assert lines == [*([f"{n} of 20" for n in range(1, 21)] * 2), "in the dark"]
        assert (await said(ann, "stream"), await said(ann, "mode")) == ("in this tab", "streaming")


async def test_commands_are_shown_to_who_may_know_them(browser: Browser, service: Service) -> None:
    async with person(browser, service.url, "ann", "commands") as ann:
        await ann.get_by_role("button", name="Pull the plug").click()
        counted = ann.locator("[data-is=commands]")
        await counted.filter(has_text=re.compile(r"^[\d,]+ in all, 0 since you opened this$")).wait_for()
        assert await ann.locator("[data-is=each]").is_hidden(), "no message, no price"
        await ann.get_by_role("button", name="Let a robot write 20").click()
        await counted.filter(has_text=re.compile(r", [1-9]\d* since you opened this$")).wait_for()
        since = int((await counted.inner_text()).split(", ")[-1].split()[0])
        await until_numbers(ann, "20", "20", "0")
        assert abs(float(await said(ann, "each")) - since / 20) < 0.06, "one decimal of it"
        await ann.route("**/readyz", lambda route: route.fulfill(json={"status": "ok"}))
        await ann.get_by_role("button", name="Let a robot write 20").click()
        await counted.wait_for(state="hidden")


async def test_a_robot_that_is_refused_says_so(browser: Browser, service: Service) -> None:
    async with person(browser, service.url, "ann", "robot") as ann:
        await ann.get_by_role("button", name="Pull the plug").click()
        await until_numbers(ann, "0", "0", "0")
        await ann.route("**/messages", refuse)
        robot = ann.get_by_role("button", name="Let a robot write 20")
        await robot.click()
        await ann.get_by_text("The robot's messages were not taken: Not today.").wait_for()
        await ann.unroute("**/messages")
        await robot.click()
        await until_numbers(ann, "20", "20", "0")
        assert await said(ann, "robot") == ""


async def test_a_stream_that_is_ended_is_counted_and_comes_back(browser: Browser, service: Service) -> None:
    async with person(browser, service.url, "ann", "ended") as ann:
        await ann.get_by_role("button", name="Pull the plug").click()
        await until_numbers(ann, "0", "0", "0")
        before = int(await said(ann, "reconnects"))
        await ann.get_by_role("button", name="End my stream").click()
        await ann.locator("[data-is=reconnects]", has_text=str(before + 1)).wait_for()
        await ann.get_by_label("Slow link").check()
        await write(ann, "slowly")
        await ann.locator(".sent .text", has_text="slowly").wait_for()
        await until_numbers(ann, "1", "1", "0")
        assert (await said(ann, "cursor")).count("-") == 2


async def test_the_switches_are_for_all_tabs_of_a_user(browser: Browser, service: Service) -> None:
    """They share a stream and an outbox; another user in the same browser has others."""
    async with person(browser, service.url, "ann", "tabs") as first:
        second, bob = await first.context.new_page(), await first.context.new_page()
        for page in (second, bob):
            await page.goto(first.url)
            await page.locator("#state[data-state=live]").wait_for()
        await bob.get_by_label("You are").fill("bob")
        await bob.keyboard.press("Enter")
        await bob.get_by_text("2 are here").wait_for()  # ann and he
        await second.get_by_role("button", name="Pull the plug").click()
        await second.locator("[data-is=stream]", has_text="in another tab of yours").wait_for()
        await second.get_by_label("Cut my network").check()
        for page in (first, second):
            await page.locator("#state[data-state=reconnecting]").wait_for()
        await write(second, "kept")
        await write(bob, "from bob")
        await bob.locator(".sent .text", has_text="from bob").wait_for()
        assert await text(bob, "kept").count() == 0
        await second.get_by_label("Cut my network").uncheck()
        for page in (first, second, bob):
            await until_count(page, "#messages .text", 2, "both are everywhere")
