"""Pictures of the first page in each state, for people to look at, while axe judges the same page.

They are left in `tests/chat/screens/`, which git does not keep.
"""

from __future__ import annotations

from pathlib import Path
from typing import Any

import httpx
import pytest
from playwright.async_api import Browser, Page

from gapless.services.typewriter import ANSWER, QUESTION
from tests.chat.person import person, publish, refuse, text, write
from tests.chat.run_window import over, window
from tests.testkit.need import need
from tests.testkit.service import Service

pytestmark = pytest.mark.real(seconds=20)

HERE = Path(__file__).parent
SCREENS = HERE / "screens"
AXE = HERE / "node_modules" / "axe-core" / "axe.min.js"
DEVICES: dict[str, dict[str, Any]] = {
    "1280": {"viewport": {"width": 1280, "height": 800}},
    "390": {"viewport": {"width": 390, "height": 844}, "has_touch": True, "is_mobile": True, "device_scale_factor": 2},
}
TALK = [
    ("ann", "Morning! The deploy went out at nine."),
    ("ann", "Everything is green so far."),
    ("bob", "Nice. I pulled the plug on two of the three instances while it ran, just to see."),
    ("bob", "Nothing lost, nothing twice."),
    ("me", "That is the whole idea :)"),
    ("me", f"One long link: https://example.com/{'a/very/long/path/' * 6}?that=does&not=want&to=break"),
    ("cat", "مرحبا بالجميع، هل وصلت الرسائل؟"),
    ("cat", "שלום, gapless עובד"),
    ("ann", "A message\nof three\nlines"),
    ("me", "<b>not bold</b> <img src=x onerror=alert(1)>"),
    ("bob", "Donaudampfschifffahrtselektrizitätenhauptbetriebswerkbauunterbeamtengesellschaft" * 2),
]
# Where fingers point: what is smaller than 44 by 44 pixels, or is written into in letters of less than 16.
_SMALL = """() => {
  if (!matchMedia("(pointer: coarse)").matches) return [];
  const targets = [...document.querySelectorAll("a, button, textarea, label, input:not(label input)")];
  const small = targets.filter((one) => {
    const { width, height } = one.getBoundingClientRect();
    return height && Math.min(width, height) < 44;
  });
  const fields = [...document.querySelectorAll("textarea, input:not([type=checkbox])")];
  const tiny = fields.filter((one) => parseFloat(getComputedStyle(one).fontSize) < 16);
  return [...small, ...tiny].map((one) => one.outerHTML);
}"""


async def look(page: Page, what: str, *, judge: bool = True) -> None:
    """Take a picture in light and in dark, of which nothing is wider than the window.

    Axe finds nothing in light on a desk, in dark on a phone: it takes longer than all else, and each rule meets both.
    """
    for scheme in ("light", "dark"):
        await page.emulate_media(color_scheme=scheme)
        width = await page.evaluate("innerWidth")
        await page.screenshot(path=SCREENS / f"{what}-{scheme}-{width}.png")
        assert await page.evaluate("document.documentElement.scrollWidth <= innerWidth"), "nothing is cut off"
        assert await page.evaluate(_SMALL) == [], "a finger finds everything, and no phone zooms in on what it types"
        if judge and (scheme == "dark") == (width < 600):
            found = await page.evaluate("axe.run().then(({violations}) => violations)")
            assert [(one["id"], [node["html"] for node in one["nodes"]]) for one in found] == [], (what, scheme)


async def _types(service: Service, room: str, user: str) -> None:
    async with httpx.AsyncClient(trust_env=False) as http:
        reply = await http.post(f"{service.url}/channels/{room}/signals", json={"event": "typing", "user": user})
    reply.raise_for_status()


@pytest.mark.parametrize("device", DEVICES)
async def test_each_state_is_a_picture_in_which_axe_finds_nothing(
    browser: Browser, service: Service, device: str
) -> None:
    need(AXE.exists(), "npm packages: run npm install in tests/chat")
    busy, empty = f"busy-{device}", f"empty-{device}"
    for user, words in TALK[:6]:
        publish(service, busy, words, user=user)
    async with person(browser, service.url, "me", busy, rooms=(empty, "design"), **DEVICES[device]) as me:
        await me.evaluate(AXE.read_text(encoding="utf-8"))
        await text(me, "One long link").wait_for()
        await me.get_by_role("link", name=empty).click()
        await me.get_by_text("Nothing here yet").wait_for()
        await look(me, "empty")
        for user, words in TALK[6:]:
            publish(service, busy, words, user=user)
        publish(service, "design", "unread elsewhere")
        await me.get_by_role("link", name="#design 1 unread").wait_for()
        await me.get_by_role("link", name=busy).click()
        await me.locator(".unread").wait_for()
        await look(me, "busy")
        mine = me.locator(".own.message", has_text="not bold")
        await (mine.tap() if device == "390" else mine.hover())
        await mine.get_by_role("button", name="Edit").wait_for()
        await look(me, "chosen")
        await _types(service, busy, "bob")
        await me.get_by_text("bob is typing…").wait_for()
        await look(me, "typing", judge=False)  # it is gone in 12 s
        await me.route("**/messages", refuse)
        await write(me, "This one is refused")
        await me.locator(".failed").wait_for()
        await me.unroute("**/messages")  # a route answers also where there is no network
        await look(me, "failed")
        await me.context.set_offline(True)
        for words in ("Written on the train", "and this, too"):
            await write(me, words)
        await me.locator("#banner").wait_for()
        await me.locator("#state[data-state=offline]").wait_for()  # although the stream that is open stands
        await look(me, "offline")
        await me.context.set_offline(False)
        await me.locator("#banner").wait_for(state="hidden")
        await me.get_by_role("button", name="Pull the plug").click()
        await me.get_by_label("Cut my network").check()
        await me.locator("#state[data-state=reconnecting]").wait_for()
        await me.get_by_role("button", name="Let a robot write 20").click()
        await me.locator("#counted[data-missing=true]").wait_for()
        await look(me, "plug")


@pytest.mark.parametrize("device", DEVICES)
async def test_ten_thousand_messages_are_a_picture(browser: Browser, service: Service, device: str) -> None:
    room = f"many-{device}"
    texts = [f"Message number {n} of ten thousand" for n in range(10_000)]
    for start in range(0, len(texts), 100):
        publish(service, room, *texts[start : start + 100], user="ann" if start // 100 % 2 else "bob")
    async with person(browser, service.url, "me", room, **DEVICES[device]) as me:
        await text(me, "number 9999").wait_for()
        await me.evaluate("messages.scrollTop = 700")
        await me.locator("#newest").wait_for()
        publish(service, room, *(f"news {n}" for n in range(12)), user="bob")
        await me.get_by_role("button", name="12 new").wait_for()
        await look(me, "many", judge=False)


RUN = [
    ("start", {"question": QUESTION}),
    *(("text", {"text": part, "tokens": 40}) for part in ANSWER.splitlines(keepends=True)),
]


def _wrote(service: Service, run: str, *messages: tuple[str, object]) -> None:
    body = [{"event": event, "data": data, "user": "run"} for event, data in messages]
    httpx.post(f"{service.url}/channels/run:{run}/messages", json=body, trust_env=False, timeout=60).raise_for_status()


@pytest.mark.parametrize("device", DEVICES)
async def test_each_state_of_a_run_is_a_picture_in_which_axe_finds_nothing(
    browser: Browser, service: Service, device: str
) -> None:
    """As its channel says, without a writer."""
    need(AXE.exists(), "npm packages: run npm install in tests/chat")
    async with window(browser, service.url, f"none{device}", **DEVICES[device]) as page:
        await page.evaluate(AXE.read_text(encoding="utf-8"))
        await page.get_by_text("Nothing is written yet").wait_for()
        await look(page, "run-empty")
        await page.route("**/messages?limit=1", lambda route: route.abort())  # it is never sure that the writer is gone
        _wrote(service, f"none{device}", *RUN[:2])
        await over(page, "writing")
        await look(page, "run-writing")
        await page.get_by_text("No word for").wait_for()
        await look(page, "run-quiet")
        await page.get_by_role("button", name="Pull the plug").click()
        await look(page, "run-plug")
        await page.get_by_role("button", name="Pull the plug").click()
        await page.unroute("**/messages?limit=1")
        await over(page, "timeout")
        await look(page, "run-timeout")
    for reason in ("stopped", "done"):
        run = f"{reason}{device}"
        _wrote(service, run, *RUN[: 2 if reason == "stopped" else None], ("finish", {"reason": reason}))
        async with window(browser, service.url, run, **DEVICES[device]) as page:
            await page.evaluate(AXE.read_text(encoding="utf-8"))
            await over(page, reason)
            await look(page, f"run-{reason}")
