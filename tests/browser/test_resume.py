"""Whatever ends a stream: the page is live again by itself, and its list is contiguous or shows the gap."""

from __future__ import annotations

import asyncio
import time
from collections import Counter
from collections.abc import Iterator
from typing import Any
from urllib.parse import parse_qs, urlsplit

import httpx
import pytest
from playwright.async_api import BrowserContext, Route

from tests.browser.conftest import Held
from tests.browser.room import Row, preflights, room
from tests.testkit.alarm import auntil
from tests.testkit.browser import empty_origin
from tests.testkit.fault_proxy import Blackhole, FaultProxy
from tests.testkit.nginx import nginx
from tests.testkit.service import Service
from tests.testkit.valkey import Valkey, start_valkey

pytestmark = pytest.mark.real(seconds=4)


@pytest.fixture(scope="module")
def store(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Valkey]:
    """Of these tests alone: one of them wipes it."""
    with start_valkey(tmp_path_factory.mktemp("resume")) as store:
        yield store


@pytest.fixture(scope="module")
def service(store: Valkey, origin: str) -> Iterator[Service]:
    """Streams of a fifth of a second; open, so that a proxy may stand before it."""
    env = {"REDIS_URL": store.url, "GAPLESS_ORIGINS": origin, "GAPLESS_PUBLIC": "true", "GAPLESS_RETRY_MS": "100"}
    with Service({**env, "GAPLESS_LIFETIME": "0.2", "GAPLESS_RECHECK": "1"}) as service:
        yield service


@pytest.fixture(autouse=True)
def up_again(service: Service) -> Iterator[None]:
    """A test that fails while the service is down fails alone."""
    yield
    if not service.alive:
        service.start()


def publish(service: Service, channel: str, *data: Any) -> None:
    body = [{"data": one} for one in data]
    httpx.post(f"{service.url}/channels/{channel}/messages", json=body, trust_env=False).raise_for_status()


async def test_a_hundred_rotations_are_not_seen(context: BrowserContext, origin: str, service: Service) -> None:
    """Streams of a fifth of a second, 25 and more for each of four users; and none needs a preflight."""
    asked: Counter[str] = Counter()
    context.on("request", lambda request: asked.update(parse_qs(urlsplit(request.url).query).get("user", [])))
    tabs = {
        user: await room(context, origin, service.url, "rotates", user=user) for user in ("ann", "bob", "cid", "dan")
    }
    began = len(service.process.lines())
    for number in range(25):
        publish(service, "rotates", number)
        before = asked.copy()
        for user, tab in tabs.items():
            await tab.until(lambda: _same(asked[user]), lambda count: count > before[user], "another stream")  # noqa: B023
    for tab in tabs.values():
        await tab.until_shown(list(range(25)))
        assert await tab.states() == ["idle", "connecting", "live"]
        assert [kind for kind, _ in await tab.page.evaluate("heard")] == ["live"] + ["message"] * 25
    assert sum(asked.values()) >= 100
    assert preflights(service, began) == []


async def _same(value: Any) -> Any:
    return value


async def test_the_service_is_killed_and_restarted_behind_a_proxy_that_says_502(
    context: BrowserContext, origin: str, service: Service
) -> None:
    with nginx(f"location / {{ proxy_pass {service.url}; proxy_http_version 1.1; }}") as url:
        ann = await room(context, origin, service.url, "restart", base=url, user="ann")
        publish(service, "restart", "before")
        await ann.until_shown(["before"])
        await service.akill()
        await ann.until_state("reconnecting")
        await ann.send("meanwhile")
        await service.astart()
        await ann.until_state("live")
        await ann.until(ann.shown, lambda rows: rows[-1] == Row("meanwhile", "sent"), "what was written is sent")
        publish(service, "restart", "after")
        await ann.until_shown(["before", "meanwhile", "after"])
        assert "gap" not in [kind for kind, _ in await ann.page.evaluate("heard")]


async def test_a_wiped_store_is_shown_before_the_next_row(
    context: BrowserContext, origin: str, service: Service, store: Valkey
) -> None:
    ann = await room(context, origin, service.url, "wiped")
    publish(service, "wiped", 1, 2)
    await ann.until_shown([1, 2])
    second = int(time.time())
    await auntil(lambda: time.time() >= second + 1, "another second, by which logs are told apart")
    store.flush()
    publish(service, "wiped", 3)
    await ann.until_shown([1, 2, 3])
    rows = await ann.rows()
    assert [row.get("gapBefore", {}).get("reason") for row in rows] == [None, None, "reset"]
    assert await ann.page.evaluate("room.gap") is None


async def test_a_stream_that_falls_silent_is_noticed(context: BrowserContext, origin: str, store: Valkey) -> None:
    """By a heartbeat that is missed soon: a service of its own, whose other streams a busy machine would cut."""
    env = {"REDIS_URL": store.url, "GAPLESS_ORIGINS": origin, "GAPLESS_HEARTBEAT": "0.5", "GAPLESS_RETRY_MS": "100"}
    async with Service(env) as beating, FaultProxy(("127.0.0.1", beating.port or 0)) as proxy:
        ann = await room(context, origin, beating.url, "silent", base=f"http://127.0.0.1:{proxy.port}")
        hole = proxy.arm(Blackhole(), connections=range(proxy.connections))
        await hole.fired()
        publish(beating, "silent", "came through another way")
        await ann.until_shown(["came through another way"])


async def test_in_turns(context: BrowserContext, origin: str, service: Service) -> None:
    ann = await room(context, origin, service.url, "turns", user="ann", transport="buffered")
    bob = await room(context, origin, service.url, "turns", user="bob")
    for number in range(5):
        await bob.send(number)
        await ann.until_shown(list(range(number + 1)))
    assert await ann.states() == ["idle", "connecting", "live"]


async def test_a_proxy_that_buffers_is_found_out_and_left_again(
    context: BrowserContext, origin: str, service: Service, held: Held
) -> None:
    """A stream's first byte never comes; turns do. Once the network is another, streaming is tried again."""
    asked: list[str] = []
    passes = asyncio.Event()

    async def hold(route: Route) -> None:
        asked.append(route.request.url)
        if "mode=buffered" in route.request.url or passes.is_set():
            await route.continue_()
        else:
            held.hold(route)

    page = await context.new_page()
    await page.route("**/stream?*", hold)
    ann = await room(page, origin, service.url, "buffers", wait=None)
    publish(service, "buffers", "first")
    await ann.until_shown(["first"])
    await ann.until_state("live")
    assert "mode=buffered" in asked[-1]
    passes.set()
    await page.evaluate("dispatchEvent(new Event('online'))")
    await ann.until(lambda: _last(asked), lambda url: "mode=buffered" not in url, "it streams again")
    publish(service, "buffers", "second")
    await ann.until_shown(["first", "second"])


async def _last(asked: list[str]) -> str:
    return asked[-1]


async def test_a_page_that_is_not_admitted_is_told_why(context: BrowserContext, service: Service) -> None:
    """A browser tells a page nothing but that its request failed."""
    async with empty_origin() as foreign:
        ann = await room(context, foreign, service.url, "blocked", wait=None)
        problem = lambda: ann.page.evaluate("client.problem")  # noqa: E731
        await ann.until(problem, lambda problem: problem and problem["kind"] == "blocked", "the problem")
        assert f"GAPLESS_ORIGINS must name {foreign}" in (await problem())["detail"]


async def test_a_content_policy_is_named(context: BrowserContext, origin: str, service: Service) -> None:
    page = await context.new_page()
    await page.goto(f"{origin}/")
    policy = f"script-src 'self' 'unsafe-inline' {service.url}; connect-src 'none'"
    await page.set_content(f'<meta http-equiv="Content-Security-Policy" content="{policy}">')
    ann = await room(page, origin, service.url, "policy", wait=None)
    problem = lambda: ann.page.evaluate("client.problem")  # noqa: E731
    await ann.until(problem, lambda problem: problem and "Content-Security-Policy" in problem["detail"], "the problem")
