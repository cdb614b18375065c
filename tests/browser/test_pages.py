"""The first page and /docs in a real Chromium: in small and large windows, below a path, through a 502, in the dark."""

from __future__ import annotations

from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager
from typing import Any

import httpx
import pytest
from playwright.async_api import Browser, Page

from gapless.api.page_files import version
from tests.browser.test_policies import WATCH
from tests.docs.blocks import the
from tests.testkit.alarm import auntil
from tests.testkit.browser import chromium, leave
from tests.testkit.nginx import nginx
from tests.testkit.service import Service
from tests.testkit.valkey import Valkey

pytestmark = pytest.mark.real(seconds=5)

SIZES = [(390, 844), (1280, 720)]
# Where the last message and the form are, and how far the list is from its end.
LOOK = """() => {
  const [list, form] = ["messages", "send"].map((id) => document.getElementById(id));
  const [last, below] = [list.lastElementChild, form].map((one) => one.getBoundingClientRect());
  return {
    last: last.bottom, top: below.top, bottom: below.bottom, window: innerHeight, wide: document.body.scrollWidth,
    left: list.scrollHeight - list.scrollTop - list.clientHeight, scrolled: list.scrollTop,
  };
}"""


@pytest.fixture(scope="module")
async def browser() -> AsyncIterator[Browser]:
    async with chromium() as browser:
        yield browser


@pytest.fixture(scope="module")
def service(valkey_server: Valkey) -> Iterator[Service]:
    """Open, so that a proxy may stand before it."""
    env = {"REDIS_URL": valkey_server.url, "GAPLESS_PUBLIC": "true", "GAPLESS_RETRY_MS": "50"}
    with Service(env) as service:
        yield service


@pytest.fixture(autouse=True)
def up_again(service: Service) -> Iterator[None]:
    """A test that fails while the service is down fails alone."""
    yield
    if not service.alive:
        service.start()


@pytest.fixture(scope="module")
def below(service: Service) -> Iterator[str]:
    """The service's address below a path, which nginx takes off. While the service is down, it answers 502."""
    with nginx(f"location /some/path/ {{ proxy_pass {service.url}/; proxy_http_version 1.1; }}") as url:
        yield f"{url}/some/path"


@asynccontextmanager
async def opened(browser: Browser, url: str, **options: Any) -> AsyncIterator[Page]:
    context = await browser.new_context(**options)
    context.set_default_timeout(60_000)
    page = await context.new_page()
    await page.add_init_script(WATCH)
    await page.goto(url)
    yield page
    await leave(context)


def publish(service: Service, channel: str, *texts: str) -> None:
    body = [{"data": {"text": text}} for text in texts]
    httpx.post(f"{service.url}/channels/{channel}/messages", json=body, trust_env=False).raise_for_status()


# --- the list and the form


@pytest.mark.parametrize(("width", "height"), SIZES)
async def test_the_newest_message_is_above_the_form(
    browser: Browser, service: Service, width: int, height: int
) -> None:
    channel = f"long{width}"
    publish(service, channel, *(f"number {n}" for n in range(50)))
    size = {"width": width, "height": height}
    async with opened(browser, f"{service.url}/?channel={channel}", viewport=size) as page:
        await page.get_by_text("number 49").wait_for()
        publish(service, channel, "live")
        await page.locator("#messages li", has_text="live").wait_for()
        place = await page.evaluate(LOOK)
        assert place["last"] <= place["top"], "the form covers nothing"
        assert place["bottom"] <= place["window"], "and is in the window"
        assert place["wide"] <= width
        await page.set_viewport_size({"width": width, "height": height // 2})  # a keyboard comes up
        await auntil(lambda: _at_end(page), "the end is still in view", alarm=60)


async def _at_end(page: Page) -> bool:
    place = await page.evaluate(LOOK)
    return bool(place["left"] < 2 and place["last"] <= place["top"] and place["bottom"] <= place["window"])


@pytest.mark.parametrize(("width", "height"), SIZES)
async def test_who_reads_history_stays_where_he_is(browser: Browser, service: Service, width: int, height: int) -> None:
    channel = f"read{width}"
    publish(service, channel, *(f"number {n}" for n in range(50)))
    size = {"width": width, "height": height}
    async with opened(browser, f"{service.url}/?channel={channel}", viewport=size) as page:
        await page.get_by_text("number 49").wait_for()
        newest = page.locator("#newest")
        await page.locator("#messages").hover()
        await page.mouse.wheel(0, -400)
        await auntil(lambda: _scrolled_up(page), "history is read, and the list stands still", alarm=60)
        await page.get_by_text("No older messages").wait_for(state="attached")  # it stands above, and moves nothing
        before = await page.get_by_text("number 30").bounding_box()
        publish(service, channel, "meanwhile")
        await page.get_by_role("button", name="1 new").wait_for()
        assert await page.get_by_text("number 30").bounding_box() == before
        await newest.click()
        await auntil(lambda: _at_end(page), "who asks for it is at the end", alarm=60)
        assert await newest.is_hidden()
        publish(service, channel, "and on")
        await page.locator("#messages").get_by_text("and on").wait_for()
        assert await _at_end(page)


async def _scrolled_up(page: Page) -> bool:
    """And the page has been told of it, which happens before the next frame."""
    await page.evaluate("new Promise((resolve) => requestAnimationFrame(() => requestAnimationFrame(resolve)))")
    return bool((await page.evaluate(LOOK))["left"] >= 399)


# --- below a path, through a proxy that says 502


async def test_the_page_works_below_a_path_and_outlives_a_502(browser: Browser, service: Service, below: str) -> None:
    publish(service, "path", "before")
    async with opened(browser, "about:blank") as page:
        answered: dict[str, int] = {}
        page.on("response", lambda reply: answered.update({reply.url: reply.status}))
        await page.goto(f"{below}/?channel=path")
        rows = page.locator("#messages .text")
        await rows.filter(has_text="before").wait_for()
        await page.locator("#state[data-state=live]").wait_for()
        files = {f"{below}/static/{version()}/{name}" for name in ("page.css", "page.js", "icon.svg")}
        await auntil(lambda: files < answered.keys(), "all files are asked for below the path", alarm=60)
        assert set(answered.values()) == {200}
        await service.akill()
        await page.get_by_text("The connection is gone").wait_for()
        await page.get_by_label("Message", exact=True).fill("sent meanwhile")
        await page.get_by_role("button", name="Send").click()
        await page.get_by_text("One message waits").wait_for()
        await page.locator(".sending .text", has_text="sent meanwhile").wait_for()
        await service.astart()
        publish(service, "path", "after")
        await rows.filter(has_text="after").wait_for()
        await page.locator(".sent .text", has_text="sent meanwhile").wait_for()
        assert sorted(await rows.all_inner_texts()) == ["after", "before", "sent meanwhile"]
        await page.locator("#banner").wait_for(state="hidden")
        assert await page.evaluate("window.__violations") == []


async def test_a_page_that_may_not_read_says_why_and_stops(browser: Browser, valkey: Valkey) -> None:
    env = {"REDIS_URL": valkey.url, "GAPLESS_JWT_SECRET": "s" * 32}
    with Service(env) as keyed:
        async with opened(browser, keyed.url) as page:
            await page.get_by_text("Refused: This needs a token").wait_for()


async def test_the_page_without_the_client_outlives_a_502(browser: Browser, service: Service, below: str) -> None:
    recipe = the("docs/browser.md", "html", "new EventSource(").replace("http://localhost:8000", below)
    publish(service, "general", "first")
    async with opened(browser, f"{below}/docs") as page:
        await page.route("**/recipe", lambda route: route.fulfill(content_type="text/html", body=recipe))
        await page.goto(f"{below}/recipe")
        await page.locator("li", has_text="first").wait_for()
        async with page.expect_event("response", lambda reply: reply.status == 502):
            await service.akill()
        await service.astart()
        publish(service, "general", "second")
        await page.locator("li", has_text="second").wait_for()
        # Others wrote to this channel before; whatever was listed is listed once.
        rows = await page.locator("li").all_inner_texts()
        assert rows[-2:] == ['{"text":"first"}', '{"text":"second"}'] and len(set(rows)) == len(rows)


# --- /docs


@pytest.mark.parametrize("scheme", ["light", "dark"])
async def test_the_docs_need_no_internet_and_send_where_they_came_from(
    browser: Browser, service: Service, below: str, scheme: Any
) -> None:
    async with opened(browser, "about:blank", color_scheme=scheme) as page:
        asked: list[str] = []
        page.on("request", lambda request: asked.append(request.url))
        await page.goto(f"{below}/docs")
        await page.get_by_text("Publish one message or a batch").wait_for()
        await page.locator("#operations-health-healthz_healthz_get button").first.click()
        await page.get_by_role("button", name="Try it out").click()
        await page.get_by_role("button", name="Execute").click()
        await page.locator(".live-responses-table .response-col_status", has_text="200").wait_for()
        assert f"{below}/healthz" in asked
        assert all(url.startswith((below, "data:")) for url in asked)
        assert await page.evaluate("window.__violations") == []
        dark = "rgb(28, 32, 34)"
        color = await page.evaluate("getComputedStyle(document.documentElement).backgroundColor")
        assert (color == dark) == (scheme == "dark")


async def test_docs_without_swagger_ui_are_a_list(browser: Browser, service: Service, below: str) -> None:
    """As functions serve them, whose bundles leave it out."""
    async with opened(browser, "about:blank") as page:
        await page.route("**/swagger-ui*", lambda route: route.fulfill(status=404))
        await page.goto(f"{below}/docs")
        await page.locator("dt", has_text="POST /channels/{channel}/messages").wait_for()
        await page.get_by_text("Publish one message or a batch").wait_for()
