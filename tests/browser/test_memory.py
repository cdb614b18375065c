"""A page that stays open: after a hundred streams and two thousand messages it holds what it held before."""

from __future__ import annotations

from collections.abc import Iterator

import pytest
from playwright.async_api import BrowserContext

from tests.browser.room import room
from tests.browser.test_past import publish
from tests.testkit.page_memory import heap
from tests.testkit.service import Service
from tests.testkit.valkey import Valkey

pytestmark = pytest.mark.real(seconds=30)

KEPT, MESSAGES, STREAMS, BATCH = 500, 2000, 100, 20
TEXT = "x" * 1000
GROWTH = 500_000
"""Bytes. The rows that are dropped would be 1.5 MB of text alone."""


@pytest.fixture(scope="module")
def service(valkey_server: Valkey, origin: str) -> Iterator[Service]:
    """Streams of a fifth of a second."""
    env = {"REDIS_URL": valkey_server.url, "GAPLESS_ORIGINS": origin, "GAPLESS_RETRY_MS": "100", "GAPLESS_RATE": "0"}
    with Service({**env, "GAPLESS_LIFETIME": "0.2"}) as service:
        yield service


async def test_memory_is_flat(context: BrowserContext, origin: str, service: Service) -> None:
    """Measured once the list is full, which is when it stops to grow."""
    streams: list[str] = []
    context.on("request", lambda request: streams.append(request.url) if "/stream?" in request.url else None)
    ann = await room(context, origin, service.url, "memory", user="ann")
    session = await context.new_cdp_session(ann.page)
    before = 0
    for sent in range(0, MESSAGES, BATCH):
        publish(service, "memory", *({"data": f"{sent + n} {TEXT}", "user": "bob"} for n in range(BATCH)))
        last = f"{sent + BATCH - 1} {TEXT}"
        await ann.until(lambda: ann.page.evaluate("room.messages.at(-1)?.data"), lambda data: data == last, "read")  # noqa: B023
        seen = len(streams)
        await ann.until(lambda: _count(streams), lambda count: count > seen, "another stream")  # noqa: B023
        if sent + BATCH == KEPT:
            await ann.page.evaluate("heard.length = 0")
            before = await heap(session)
    await ann.page.evaluate("heard.length = 0")
    assert await ann.page.evaluate("room.messages.length") == KEPT
    assert len(streams) >= STREAMS
    assert await heap(session) - before < GROWTH
    assert await ann.states() == ["idle", "connecting", "live"]


async def _count(streams: list[str]) -> int:
    return len(streams)
