"""Five clients that nobody here wrote read one channel side by side: a thousand messages, each exactly once, in order.

Every one of them has a cutter of its own before it, and is cut off twenty times and more.
"""

from __future__ import annotations

import asyncio
import json
from contextlib import AsyncExitStack, asynccontextmanager, contextmanager
from typing import TYPE_CHECKING, Any

import httpx
import pytest
from httpx_sse import aconnect_sse

from gapless.stores.embedded.reaper import end_unused
from gapless.stores.embedded.valkey import EmbeddedValkey
from tests.testkit.alarm import auntil
from tests.testkit.browser import chromium, empty_origin, event_source
from tests.testkit.cutter import BACKLOG, Cutter
from tests.testkit.history import History
from tests.testkit.load_publisher import Publisher
from tests.testkit.node import CLIENTS, node_reader
from tests.testkit.seen import Seen, Sight
from tests.testkit.service import Service
from tests.testkit.upstash.place import upstash
from tests.testkit.valkey import start_valkey
from tests.testkit.wire import Wire

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Callable, Iterator
    from pathlib import Path

pytestmark = [pytest.mark.real(seconds=30), pytest.mark.timeout(180)]

MESSAGES = 1000
CHANNEL = "general"
SETTINGS = {"GAPLESS_RATE": "0", "GAPLESS_STREAM_RATE": "0", "GAPLESS_RETRY_MS": "40", "GAPLESS_ORIGINS": "*"}


@pytest.fixture
async def client() -> AsyncIterator[httpx.AsyncClient]:
    """Of the publisher."""
    async with httpx.AsyncClient(transport=Wire(), timeout=30) as client:
        yield client


@contextmanager
def tcp(folder: Path) -> Iterator[dict[str, str]]:
    with start_valkey(folder / "valkey") as store:
        yield {"REDIS_URL": store.url}


@contextmanager
def rest(folder: Path) -> Iterator[dict[str, str]]:
    with upstash(folder) as place:
        yield place.env()


@contextmanager
def embedded(folder: Path) -> Iterator[dict[str, str]]:
    data = folder / "data"
    try:
        yield {"GAPLESS_DATA_DIR": str(data)}
    finally:
        end_unused(str(data))  # the service is killed, and does not end its Valkey then
        assert not EmbeddedValkey(data).alive(), "the embedded Valkey outlives its test"


class HttpxSse(Sight):
    """PyPI's httpx-sse."""

    async def until(self, true: Callable[[HttpxSse], object], what: str, *, alarm: float = 30.0) -> None:
        await auntil(lambda: true(self), f"httpx-sse: {what}", alarm=alarm)


@asynccontextmanager
async def httpx_sse(url: str) -> AsyncIterator[HttpxSse]:
    sight = HttpxSse()
    reading = asyncio.create_task(read_by_httpx_sse(url, sight))
    try:
        yield sight
    finally:
        reading.cancel()
        await asyncio.wait([reading])
        if not reading.cancelled():
            reading.result()


async def read_by_httpx_sse(url: str, sight: Sight) -> None:
    """It leaves reconnecting to its user, who has to do what its documentation says: come back with the last id."""
    last, retry = "", 3000
    async with httpx.AsyncClient(trust_env=False) as client:
        while len(sight.messages) < MESSAGES:
            headers = {"Last-Event-ID": last} if last else {}
            try:
                async with aconnect_sse(client, "GET", url, headers=headers) as source:
                    sight.opens += 1
                    async for sse in source.aiter_sse():
                        last, retry = sse.id or last, sse.retry or retry
                        sight.seen.append(Seen(sse.id, sse.event, sse.data))
                        if len(sight.messages) >= MESSAGES:
                            return
            except httpx.TransportError:
                sight.errors += 1
            await asyncio.sleep(retry / 1000)


@asynccontextmanager
async def chromiums_own(url: str) -> AsyncIterator[Any]:
    async with (
        chromium() as browser,
        empty_origin() as page,
        event_source(browser, url, page_url=page) as source,
    ):
        yield source


@asynccontextmanager
async def opened(name: str, url: str) -> AsyncIterator[Any]:
    """A client by its name: a Sight with `until`."""
    if name in CLIENTS:
        async with node_reader(name, url, count=MESSAGES) as node:  # type: ignore[arg-type]
            yield node
    else:
        async with (httpx_sse if name == "httpx-sse" else chromiums_own)(url) as other:
            yield other


ALL = (*CLIENTS, "httpx-sse", "chromium")
TWO = ("eventsource", "httpx-sse")
"""Enough where only the store is another: no client sees what lies behind the service."""


@pytest.mark.parametrize(
    ("where", "names"),
    [(tcp, ALL), (rest, TWO), (embedded, TWO)],
    ids=["tcp", "upstash", "embedded"],
)
async def test_a_thousand_messages(
    where: Any, names: tuple[str, ...], tmp_path: Path, client: httpx.AsyncClient
) -> None:
    async with AsyncExitStack() as stack:
        env = SETTINGS | stack.enter_context(where(tmp_path))
        service = await stack.enter_async_context(Service(env, cwd=tmp_path))
        assert service.port is not None
        ann = Publisher(History(), client, service.url, CHANNEL)
        cutters = {
            name: await stack.enter_async_context(Cutter(service.port, lambda: len(ann.ids), MESSAGES, seed=seed))
            for seed, name in enumerate(names)
        }
        readers = {
            name: await stack.enter_async_context(opened(name, f"{cutters[name].url}/channels/{CHANNEL}/stream"))
            for name in names
        }
        for reader in readers.values():
            await reader.until(lambda me: me.of("hello"), "hello")
        await publish(ann, list(cutters.values()))
        for reader in readers.values():
            await reader.until(lambda me: len(me.messages) >= MESSAGES, "all messages", alarm=60)
    for name in names:
        assert_exactly_once(name, readers[name], cutters[name], ann.ids)


async def publish(ann: Publisher, cutters: list[Cutter]) -> None:
    """All messages, never much further than the slowest has read: so all are cut off throughout."""
    for number in range(1, MESSAGES + 1):
        if number - min(cutter.passed for cutter in cutters) > 2 * BACKLOG:
            await auntil(
                lambda n=number: n - min(cutter.passed for cutter in cutters) <= 2 * BACKLOG, "all to read on", alarm=60
            )
        await ann.publish(f"ann {number}")


def assert_exactly_once(name: str, sight: Sight, cutter: Cutter, ids: list[str]) -> None:
    """Each message once, in order, by a client that was cut off enough, live and while it caught up."""
    assert [seen.id for seen in sight.messages] == ids, name
    assert [json.loads(seen.data)["data"] for seen in sight.messages] == [f"ann {n}" for n in range(1, MESSAGES + 1)]
    assert len(set(ids)) == MESSAGES
    assert not sight.of("gap"), name
    told = f"{name}: {sight.reconnects} reconnects, {cutter.cuts} cuts, {cutter.mid_backlog} in mid-backlog"
    assert (sight.reconnects >= 20, cutter.cuts >= 20, cutter.mid_backlog >= 5) == (True, True, True), told
