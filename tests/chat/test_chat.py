"""The chat of the first page in a real Chromium: two people, what is refused, what is unread, ten thousand messages."""

from __future__ import annotations

from functools import partial

import pytest
from playwright.async_api import Browser, Route

from tests.chat.person import PATIENCE, change, person, publish, refuse, text, until_count, write
from tests.testkit.alarm import auntil
from tests.testkit.service import Service

pytestmark = pytest.mark.real(seconds=5)


async def test_two_people_write_change_and_delete(browser: Browser, service: Service) -> None:
    async with person(browser, service.url, "ann", "two") as ann, person(browser, service.url, "bob", "two") as bob:
        box = ann.get_by_label("Message", exact=True)
        await box.press_sequentially("<b>one</b>")
        await bob.get_by_text("ann is typing…").wait_for()
        await ann.keyboard.press("Shift+Enter")
        await box.press_sequentially("two")
        # An input method's Enter chooses a word; some browsers say so by the key's code alone.
        for how in ({"isComposing": True}, {"keyCode": 229}):
            await box.dispatch_event("keydown", {"key": "Enter", **how})
            assert await box.input_value() == "<b>one</b>\ntwo", "what is sent is gone from the box at once"
        await ann.keyboard.press("Enter")
        await ann.locator(".message .status", has_text="Delivered").wait_for()
        await ann.get_by_text("2 are here").wait_for()
        await text(bob, "two").wait_for()
        assert await text(bob, "two").inner_text() == "<b>one</b>\ntwo"
        await bob.locator("#spoken", has_text="ann: <b>one</b>").wait_for(state="attached")
        assert await ann.locator("#spoken").inner_text() == "", "nobody is told what he wrote"
        await ann.keyboard.press("ArrowUp")
        await write(ann, "better")
        await text(bob, "better").wait_for()
        assert await bob.locator(".message").count() == 1
        await ann.locator(".delivered .text", has_text="better").wait_for()  # the line is drawn anew then
        await ann.locator(".message").hover()
        delete = ann.get_by_role("button", name="Delete")
        id_ = await delete.get_attribute("data-id")
        await delete.click()
        change(service, "two", id_, "by phone", user="ann")
        await text(ann, "by phone").wait_for()  # the line is drawn anew, and still asks
        await ann.get_by_role("button", name="Really delete?").click()
        await bob.get_by_text("Message deleted").wait_for()


async def test_what_is_written_before_the_script_is_there_is_not_lost(browser: Browser, service: Service) -> None:
    page = await browser.new_page()
    page.set_default_timeout(PATIENCE)
    held: list[Route] = []
    await page.route("**/chat.js", lambda route: held.append(route))  # noqa: PLW0108 - Playwright wants a function
    await page.goto(f"{service.url}/?channel=early", wait_until="commit")
    await page.get_by_label("Message", exact=True).fill("early")
    send = page.get_by_role("button", name="Send")
    assert await send.is_disabled(), "a form that no script holds would be sent to nobody, and its text be gone"
    await auntil(lambda: held, "the script is asked for", alarm=60)
    await held[0].continue_()
    await send.click()
    await page.locator(".sent .text", has_text="early").wait_for()
    await page.close()


async def test_what_is_refused_keeps_its_text_and_can_be_sent_again_or_dropped(
    browser: Browser, service: Service
) -> None:
    async with person(browser, service.url, "ann", "refused") as ann:
        await ann.route("**/messages", refuse)
        await write(ann, "again")
        await write(ann, "never")
        await until_count(ann, ".failed", 2, "both failed")
        assert await ann.get_by_text("Not sent: Not today.").count() == 2
        await ann.unroute("**/messages")
        await ann.locator(".failed", has_text="never").get_by_role("button", name="Discard").click()
        await until_count(ann, ".failed", 1, "one is given up")
        await ann.get_by_role("button", name="Retry").click()
        await ann.locator(".sent .text", has_text="again").wait_for()
        assert await ann.locator("#messages .text").all_inner_texts() == ["again"]


async def test_what_came_elsewhere_is_counted_and_divided_from_what_was_read(
    browser: Browser, service: Service
) -> None:
    publish(service, "elsewhere", "old")
    async with person(browser, service.url, "ann", "elsewhere") as ann:
        box = ann.get_by_label("Message", exact=True)
        await box.fill("begun")
        await ann.get_by_label("Open another room").fill("#here")
        await ann.keyboard.press("Enter")
        await ann.get_by_text("Nothing here yet").wait_for()
        publish(service, "elsewhere", "new", "newer")
        await ann.get_by_role("link", name="#elsewhere 2 unread").click()
        await text(ann, "newer").wait_for()
        assert await box.input_value() == "begun", "what was begun in a room waits there"
        lines = await ann.locator("#messages .text, #messages .unread").all_inner_texts()
        assert lines == ["old", "New", "new", "newer"]
        await ann.go_back()
        await ann.get_by_text("Nothing here yet").wait_for()
        assert await ann.get_by_role("link", name="unread").count() == 0
        assert await box.input_value() == ""


async def test_ten_thousand_messages_are_two_hundred_lines(browser: Browser, service: Service) -> None:
    publish(service, "many", *(f"number {n}." for n in range(10_000)))
    async with person(browser, service.url, "ann", "many") as ann:
        await text(ann, "number 9999.").wait_for()
        before = 10_000
        while before > 9_500:  # a step up, over pages of history, until 500 were passed
            first = ann.locator("#messages .text").first
            step = await ann.evaluate(_STEP_UP)
            assert step["jump"] <= 1, "nothing that is looked at moves"
            assert 100 <= step["lines"] <= 250
            before = int((await first.inner_text()).split()[1].rstrip("."))
        publish(service, "many", *(f"late {n}." for n in range(30)))
        await ann.get_by_role("button", name="30 new").click()
        await text(ann, "late 29.").wait_for()
        assert await ann.locator("#messages > li").count() <= 250
        for above, words in [(0, "the last"), (40, "the very last")]:
            await ann.evaluate(_ABOVE, above)
            publish(service, "many", words)
            await auntil(partial(ann.evaluate, _AT_END, words), "the end is followed", alarm=60)
        await ann.evaluate(_ABOVE, 60)
        place = await text(ann, "the last").bounding_box()
        publish(service, "many", "unseen")
        await ann.get_by_role("button", name="1 new").wait_for()
        assert await text(ann, "the last").bounding_box() == place, "who is further up than 50 px stays there"


# Scrolls up until more lines or another window are there; `jump`: by how many pixels a line in view was moved by that.
_STEP_UP = """async () => {
  const frame = () => new Promise((resolve) => requestAnimationFrame(resolve));
  const list = document.getElementById("messages");
  const first = () => list.querySelector(".message .text").textContent;
  const before = first();
  list.scrollTop = Math.min(list.scrollTop, 500);
  const seen = [...list.children].find((line) => line.getBoundingClientRect().top > 200);
  const top = seen.getBoundingClientRect().top;
  for (let n = 0; n < 600 && first() === before; n++) await frame();
  await frame();
  return { jump: Math.abs(seen.getBoundingClientRect().top - top), lines: list.children.length };
}"""
# Scrolls to so many pixels above the end, until the page has been told of it.
_ABOVE = """async (pixels) => {
  const list = document.getElementById("messages");
  list.scrollTop = list.scrollHeight - list.clientHeight - pixels;
  for (let n = 0; n < 2; n++) await new Promise((resolve) => requestAnimationFrame(resolve));
}"""
_AT_END = """(words) => {
  const list = document.getElementById("messages");
  const left = list.scrollHeight - list.scrollTop - list.clientHeight;
  return list.lastElementChild.textContent.includes(words) && left < 50;
}"""


async def test_a_page_whose_parts_do_not_come_says_so_and_comes_back(browser: Browser, service: Service) -> None:
    page = await browser.new_page()
    page.set_default_timeout(PATIENCE)
    away = True

    async def answer(route: Route) -> None:
        await (route.fulfill(status=502) if away else route.continue_())

    for what in ("**/gapless.js", "**/healthz"):
        await page.route(what, answer)
    await page.goto(service.url)
    await page.get_by_text("The service does not answer").wait_for()
    away = False
    await page.locator("#state[data-state=live]").wait_for()
    await page.close()
