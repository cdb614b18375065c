"""The chat by keyboard alone, at 200 %, and as a screen reader hears it."""

from __future__ import annotations

import re

import pytest
from playwright.async_api import Browser, Page, ViewportSize

from tests.chat.person import PATIENCE, person, publish, text, until_count, write
from tests.chat.run_window import over, window
from tests.testkit.alarm import auntil
from tests.testkit.service import Service

pytestmark = pytest.mark.real(seconds=5)

# What has the focus: its id, its name or its words; and whether anybody can see that it has it.
_FOCUS = """() => {
  const one = document.activeElement;
  if (one === document.body) return { what: "the browser", seen: true };
  const ring = (element) => {
    const { outlineStyle, outlineWidth, boxShadow } = getComputedStyle(element);
    return (outlineStyle !== "none" && parseFloat(outlineWidth) > 0) || boxShadow !== "none";
  };
  const place = one.getBoundingClientRect();
  const inside = place.top >= 0 && place.bottom <= innerHeight && place.left >= 0 && place.right <= innerWidth;
  return {
    what: one.id || one.name || one.getAttribute("aria-label") || one.textContent,
    seen: inside && (ring(one) || ring(one.closest(".field") ?? one)),
  };
}"""


async def focused(page: Page, *keys: str) -> str:
    """What has the focus after these keys. It can be seen that it has."""
    for key in keys:
        await page.keyboard.press(key)
    place = await page.evaluate(_FOCUS)
    assert place["seen"], f"nobody sees that {place['what']} has the focus"
    return str(place["what"])


async def test_everything_can_be_done_by_keyboard_alone(browser: Browser, service: Service) -> None:
    async with person(browser, service.url, "ann", "keys", rooms=("other",)) as ann:
        assert await focused(ann) == "text", "one can write at once"
        for words in ("first", "second"):
            await ann.keyboard.type(words)
            await ann.keyboard.press("Enter")
        await until_count(ann, ".own.sent, .own.delivered", 2, "both are sent")
        assert [await focused(ann, "Tab") for _ in STOPS] == STOPS
        assert await focused(ann, "Shift+Tab") == "messages"
        assert "second" in await focused(ann, "ArrowUp")
        assert "first" in await focused(ann, "ArrowUp")
        assert await focused(ann, "Tab") == "Edit"
        assert await focused(ann, "Enter") == "text"
        assert await focused(ann, "Escape") == "text", "what was begun as a change is given up"
        assert await ann.locator("#text").input_value() == ""
        assert await focused(ann, "Shift+Tab", "ArrowUp", "ArrowUp", "Tab", "Enter") == "text"
        await ann.keyboard.type(", better")
        assert await focused(ann, "Enter") == "text"
        await ann.locator(".own.sent .text, .own.delivered .text", has_text="first, better").wait_for()
        await focused(ann, "Shift+Tab")
        assert await focused(ann, "ArrowUp", "Tab", "Tab") == "Delete"
        assert await focused(ann, "Enter") == "Really delete?"
        assert await focused(ann, "Shift+Tab", "Tab") == "Delete", "who leaves it has not said yes"
        assert await focused(ann, "Enter") == "Really delete?"
        await ann.keyboard.press("Enter")
        await ann.locator("#messages").get_by_text("Message deleted").wait_for()
        assert "Message deleted" in await focused(ann), "the focus stays where it was"
        assert "first, better" in await focused(ann, "ArrowUp")


STOPS = ["Send", "user", "plain", "plug", "Run", "API", "the browser", "#keys", "#other", "room", "messages", "text"]


async def test_at_two_hundred_percent_nothing_is_lost(browser: Browser, service: Service) -> None:
    """A window of 1280 by 720 pixels is one of 640 by 360 then."""
    publish(service, "zoomed", *(f"number {n}" for n in range(30)))
    size: ViewportSize = {"width": 640, "height": 360}
    async with person(browser, service.url, "ann", "zoomed", viewport=size, device_scale_factor=2) as ann:
        await text(ann, "number 29").wait_for()
        around = "header a, header input, #state, #text, .field button, footer label, footer a"
        for one in await ann.locator(around).all():
            place = await one.bounding_box()
            assert place is not None, await one.inner_text()
            assert place["x"] >= 0 and place["x"] + place["width"] <= 640, await one.inner_text()
            assert place["y"] >= 0 and place["y"] + place["height"] <= 360, await one.inner_text()
        shown = await ann.locator("#messages").bounding_box()
        assert shown and shown["height"] >= 4 * 28, "some messages are in view beside what stands around them"
        assert await ann.evaluate("messages.scrollHeight - messages.scrollTop - messages.clientHeight") < 50


async def test_a_run_is_started_and_stopped_by_keyboard_alone_at_two_hundred_percent(
    browser: Browser, service: Service
) -> None:
    size: ViewportSize = {"width": 640, "height": 360}
    async with window(browser, service.url, "keys", viewport=size, device_scale_factor=2) as page:
        stops = ["Chat", "Run", "paper", "go", "second", "plug", "API"]
        assert [await focused(page, "Tab") for _ in stops] == stops
        for _ in range(3):
            await focused(page, "Shift+Tab")
        await page.keyboard.press("Enter")
        await page.locator("#kill").wait_for()
        assert await focused(page) == "go", "the button that starts is the one that stops"
        assert await focused(page, "Shift+Tab") == "kill"
        assert await focused(page, "Tab", "Enter") == "go"
        await over(page, "stopped")
        shown = await page.locator("#paper").bounding_box()
        assert shown and shown["height"] >= 4 * 24, "some lines are in view beside what stands around them"
        assert await page.evaluate("document.documentElement.scrollWidth <= innerWidth")


async def test_only_new_messages_of_others_are_said(browser: Browser, service: Service) -> None:
    """Neither history, nor times, nor what one wrote; and nothing else in the page speaks of messages."""
    publish(service, "said", "history")
    async with person(browser, service.url, "ann", "said") as ann:
        await text(ann, "history").wait_for()
        spoken = ann.locator("#spoken")
        await spoken.evaluate("(one) => (window.region = one)")
        assert await spoken.evaluate("(one) => [one.role, one.ariaLive]") == ["log", "polite"]
        assert await ann.locator("#messages").evaluate("(one) => one.closest('[aria-live], [role]')") is None
        await write(ann, "mine")
        await ann.locator(".own.sent, .own.delivered").wait_for()
        publish(service, "said", "one")
        await spoken.get_by_text("eve: one", exact=True).wait_for(state="attached")
        assert await spoken.inner_text() == "eve: one"
        publish(service, "said", *(f"{n} of many" for n in range(20)))
        await spoken.get_by_text(re.compile(r"^\d+ new messages$")).wait_for(state="attached")
        assert await spoken.evaluate("(one) => one === window.region"), "it is the element that was there at first"


async def test_a_plain_list_has_every_line_and_names_every_author(browser: Browser, service: Service) -> None:
    """For those whose reader would lose its place where lines come and go. It is kept over a reload."""
    publish(service, "plain", *(f"number {n}." for n in range(300)))
    async with person(browser, service.url, "ann", "plain") as ann:
        await text(ann, "number 299.").wait_for()
        for _ in range(2):  # pages of history, until there are more lines than otherwise stay in the page
            first = await ann.locator("#messages .text").first.inner_text()
            await ann.evaluate("messages.scrollTop = 0")
            await ann.locator("#messages .text").first.filter(has_not_text=first).wait_for()
        await ann.get_by_label("Plain list").check()
        await auntil(lambda: _all_named(ann), "each line names its author", alarm=PATIENCE / 1000)
        assert await ann.locator(".message").count() > 200
        await ann.reload()
        await text(ann, "number 299.").wait_for()
        assert await ann.get_by_label("Plain list").is_checked()
        assert await _all_named(ann)


async def _all_named(page: Page) -> bool:
    each = "(lines) => lines.length > 0 && lines.every((line) => line.querySelector('.author'))"
    return bool(await page.locator(".message").evaluate_all(each))
