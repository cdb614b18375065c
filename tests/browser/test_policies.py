"""CORS, cookies and page policies in a real Chromium: what is allowed works, and what is not does not.

`localhost` and `127.0.0.1` are two sites; two ports of one host are two origins of one site, so that cookies go with
requests between them and only CORS and the service stand between.
"""

from __future__ import annotations

import json
from collections.abc import AsyncIterator, Iterator
from typing import Any

import httpx
import pytest
from playwright.async_api import Browser, Route

from tests.docs.blocks import the
from tests.testkit.alarm import auntil
from tests.testkit.browser import chromium, empty_origin, event_source, leave
from tests.testkit.forge import SECRET
from tests.testkit.service import Service
from tests.testkit.tab import at, signed_in, token
from tests.testkit.valkey import Valkey

# None takes long. Dealt among the quick ones they stay together, with one browser and one service for all.
pytestmark = pytest.mark.real(seconds=0)

MESSAGES = "/channels/a/messages"
# Recorded before anything of the page runs.
WATCH = """
window.__violations = [];
document.addEventListener("securitypolicyviolation", (e) =>
  window.__violations.push(`${e.violatedDirective} ${e.blockedURI} ${e.sourceFile ?? ""}`));
"""


@pytest.fixture(scope="module")
async def browser() -> AsyncIterator[Browser]:
    async with chromium() as browser:
        yield browser


@pytest.fixture(scope="module")
async def allowed() -> AsyncIterator[str]:
    async with empty_origin() as origin:
        yield origin


@pytest.fixture(scope="module")
async def foreign() -> AsyncIterator[str]:
    async with empty_origin() as origin:
        yield origin


@pytest.fixture(scope="module")
def service(valkey_server: Valkey, allowed: str) -> Iterator[Service]:
    """A service with tokens, one allowed origin, and a rate that can be met."""
    env = {"REDIS_URL": valkey_server.url, "GAPLESS_JWT_SECRET": SECRET, "GAPLESS_ORIGINS": allowed}
    with Service({**env, "GAPLESS_BURST": "5", "GAPLESS_RATE": "0.01"}) as service:
        yield service


@pytest.fixture(scope="module")
def keyless(valkey_server: Valkey) -> Iterator[Service]:
    with Service({"REDIS_URL": valkey_server.url}) as service:
        yield service


def stored(service: Service, channel: str = "a") -> list[Any]:
    reply = httpx.get(
        f"{service.url}/channels/{channel}/messages",
        headers={"Authorization": f"Bearer {token()}"},
        trust_env=False,
    )
    return [one["data"] for one in reply.json()["messages"]]


def publish(service: Service, channel: str, body: Any, token: str = "") -> None:
    headers = {"Authorization": f"Bearer {token}"} if token else {}
    reply = httpx.post(f"{service.url}/channels/{channel}/messages", json=body, headers=headers, trust_env=False)
    assert reply.status_code == 201


def ticket(service: Service, *channels: str) -> str:
    headers = {"Authorization": f"Bearer {token()}"}
    reply = httpx.post(f"{service.url}/tickets", json={"channels": channels}, headers=headers, trust_env=False)
    return str(reply.json()["ticket"])


# --- EventSource


async def test_an_event_source_without_credentials(
    browser: Browser, service: Service, allowed: str, foreign: str
) -> None:
    url = f"{service.url}/channels/a/stream?ticket={ticket(service, 'a')}"
    async with event_source(browser, url, page_url=allowed) as stream:
        await stream.until(lambda seen: seen.of("hello"), "a hello")
        await stream.close()
    async with event_source(browser, url, page_url=foreign) as stream:
        await stream.until(lambda seen: seen.closed, "the browser keeps it from the page")
        assert (stream.opens, stream.seen) == (0, [])


async def test_an_event_source_with_credentials(browser: Browser, service: Service, allowed: str, foreign: str) -> None:
    context = await signed_in(browser, service)
    page = await context.new_page()
    url = f"{service.url}/channels/a/stream"
    async with event_source(page, url, page_url=allowed, with_credentials=True) as stream:
        await stream.until(lambda seen: seen.of("hello"), "a hello")
        await stream.close()
    async with event_source(page, url, page_url=allowed) as stream:
        await stream.until(lambda seen: seen.closed, "without its cookie nobody knows it")
        assert stream.opens == 0
    async with event_source(page, url, page_url=foreign, with_credentials=True) as stream:
        await stream.until(lambda seen: seen.closed, "the browser keeps it from the page")
        assert (stream.opens, stream.seen) == (0, [])
    await context.close()


# --- fetch


async def test_fetch_with_authorization_and_last_event_id(
    browser: Browser, service: Service, allowed: str, foreign: str
) -> None:
    """Both headers need a preflight."""
    headers = {"Authorization": f"Bearer {token('reader')}", "Last-Event-ID": "t9x2k0ab-1-aaaa"}
    for path in (f"{MESSAGES}?limit=1", MESSAGES):
        kind, status, text, _ = await (await at(browser, allowed)).fetch(service.url + path, headers=headers)
        assert (kind, status) == ("cors", 200), text
        kind, status, *_ = await (await at(browser, foreign)).fetch(service.url + path, headers=headers)
        assert (kind, status) == ("failed", 0)


async def test_a_page_can_read_when_to_come_back(browser: Browser, service: Service, allowed: str) -> None:
    tab = await at(browser, allowed)
    headers = {"Authorization": f"Bearer {token('loud')}", "Content-Type": "application/json", "Idempotency-Key": "1"}
    body = json.dumps([{"data": "loud"}] * 5)
    kind, status, text, _ = await tab.fetch(service.url + MESSAGES, method="POST", headers=headers, body=body)
    assert (kind, status) == ("cors", 201), text
    headers["Idempotency-Key"] = "2"
    _, status, text, after = await tab.fetch(service.url + MESSAGES, method="POST", headers=headers, body=body)
    assert (status, json.loads(text)["status"]) == (429, 429)
    assert int(after or "0") > 0


# --- cookies that write

JSON = {"Content-Type": "application/json"}


async def test_a_cookie_writes_from_an_allowed_origin_and_from_no_other(
    browser: Browser, service: Service, allowed: str, foreign: str
) -> None:
    context = await signed_in(browser, service, "cookie")
    writing = {"method": "POST", "credentials": "include", "body": '{"data":"by cookie"}'}
    kind, status, text, _ = await (await at(context, allowed)).fetch(service.url + MESSAGES, headers=JSON, **writing)
    assert (kind, status) == ("cors", 201), text
    assert json.loads(text)["user"] == "cookie"
    evil = {**writing, "body": '{"data":"forged"}'}
    tab = await at(context, foreign)
    kind, *_ = await tab.fetch(service.url + MESSAGES, headers=JSON, **evil)
    assert kind == "failed", "the preflight is refused"
    for plain in ({}, {"headers": {"Content-Type": "text/plain"}}, {"headers": JSON}):
        kind, *_ = await tab.fetch(service.url + MESSAGES, mode="no-cors", **evil, **plain)
        assert kind in ("opaque", "failed"), "sent without asking, and never read"
    sent = """([url]) => {
      const form = Object.assign(document.createElement("form"), {method: "POST", action: url, enctype: "text/plain"});
      form.append(Object.assign(document.createElement("input"), {name: '{"data":"forged","event":"', value: 'x"}'}));
      document.body.append(form);
      form.submit();
    }"""
    async with tab.page.expect_navigation():
        await tab.page.evaluate(sent, [service.url + MESSAGES])
    assert "forged" not in stored(service)
    assert "by cookie" in stored(service)
    await context.close()


async def test_a_cookie_writes_and_reads_on_the_services_own_page(browser: Browser, service: Service) -> None:
    context = await signed_in(browser, service, "own")
    page = await context.new_page()
    await page.goto(f"{service.url}/?channel=own")
    await page.get_by_label("Message", exact=True).fill("from the page")
    await page.get_by_role("button", name="Send").click()
    await page.locator(".sent .text", has_text="from the page").wait_for()  # answered; before it is ".sending"
    await page.get_by_text("Live", exact=True).wait_for()
    assert stored(service, "own") == [{"text": "from the page"}]
    await context.close()


# --- the recipe for a page


async def test_the_recipe_for_a_page_takes_the_next_ticket_and_misses_nothing(
    browser: Browser, service: Service, allowed: str
) -> None:
    """It is run as it stands in docs/tokens.md. Its first ticket ends; what comes before the next one is not lost."""
    page = await browser.new_page()
    printed: list[str] = []
    page.on("console", lambda line: printed.append(line.text))
    lives = [2, 4, 8, 16]  # seconds of tokens that are to end, but not before the first hello has come

    async def sign(route: Route) -> None:
        if await page.evaluate("after"):
            publish(service, "general", {"data": "not lost"}, token("writer"))
            lives.insert(0, 600)
        await route.fulfill(json={"token": token("reader", lives.pop(0))})

    await page.route("**/api/gapless-token", sign)
    await page.goto(allowed)
    recipe = the("docs/tokens.md", "js", "new EventSource(")
    await page.add_script_tag(content=recipe.replace("https://messages.example.com", service.url))
    await auntil(lambda: "not lost" in "".join(printed), "it is read", alarm=60)
    await leave(page.context)


# --- all origins


async def test_all_origins_may_come_and_none_with_a_cookie(browser: Browser, valkey: Valkey, foreign: str) -> None:
    env = {"REDIS_URL": valkey.url, "GAPLESS_JWT_SECRET": SECRET, "GAPLESS_ORIGINS": "*"}
    with Service(env) as service:
        context = await signed_in(browser, service)
        tab = await at(context, foreign)
        bearer = {"Authorization": f"Bearer {token()}"}
        kind, status, *_ = await tab.fetch(service.url + MESSAGES, headers=bearer)
        assert (kind, status) == ("cors", 200)
        kind, *_ = await tab.fetch(service.url + MESSAGES, credentials="include")
        assert kind == "failed"
        url = f"{service.url}/channels/a/stream"
        opened = f"{url}?ticket={ticket(service, 'a')}"
        async with event_source(tab.page, opened, page_url=foreign) as stream:
            await stream.until(lambda seen: seen.of("hello"), "a hello")
        async with event_source(tab.page, url, page_url=foreign, with_credentials=True) as stream:
            await stream.until(lambda seen: seen.closed, "with credentials * is no answer")
            assert stream.seen == []
        kind, *_ = await tab.fetch(
            service.url + MESSAGES, method="POST", headers=JSON, credentials="include", body='{"data":1}'
        )
        assert kind == "failed"
        assert stored(service) == []
        await context.close()


# --- pages

MARKUP = '<img src=x onerror="window.__pwned=1"><script>window.__pwned=1</script>'


async def test_a_message_stays_text_on_the_page_and_nothing_breaks_its_policy(
    browser: Browser, keyless: Service
) -> None:
    page = await browser.new_page()
    await page.add_init_script(WATCH)
    await page.goto(f"{keyless.url}/?channel=p")
    await page.locator("#state[data-state=live]").wait_for()
    for body in ({"data": {"text": MARKUP}, "user": MARKUP}, {"data": MARKUP}, {"data": {"text": {"html": MARKUP}}}):
        publish(keyless, "p", body)
    await page.locator("#messages .message").nth(2).wait_for()
    assert MARKUP in await page.locator("#messages").inner_text()
    await page.evaluate(
        "document.body.insertAdjacentHTML('beforeend', '<img src=/nowhere onerror=\"window.__pwned=1\">')"
    )
    await page.wait_for_function("window.__violations.length > 0")
    assert await page.evaluate("window.__pwned ?? 0") == 0, "its policy would stop what did get in"
    assert len(await page.evaluate("window.__violations")) == 1, "and until then nothing had to be stopped"
    await page.close()


async def test_the_docs_run_their_own_files_and_nothing_else(browser: Browser, service: Service) -> None:
    page = await browser.new_page()
    await page.add_init_script(WATCH)
    errors: list[str] = []
    page.on("pageerror", lambda error: errors.append(str(error)))
    await page.goto(f"{service.url}/docs")
    await page.get_by_text("Publish one message or a batch").wait_for()
    for operation in (await page.locator(".opblock-summary-control").all())[:3]:  # each takes seconds
        await operation.click()
    await page.locator(".opblock.is-open textarea, .opblock.is-open code").first.wait_for()
    await page.evaluate(
        "document.head.append(Object.assign(document.createElement('script'), {text: 'window.__pwned=1'}))"
    )
    await page.wait_for_function("window.__violations.length > 0")
    assert await page.evaluate("window.__pwned ?? 0") == 0
    assert len(await page.evaluate("window.__violations")) == 1, "of all that ran, this alone was stopped"
    assert errors == []
    await page.close()
