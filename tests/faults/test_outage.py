"""The store goes away under load and comes back: nobody is misled, nothing acknowledged is lost, nobody restarts us."""

from __future__ import annotations

import asyncio
from collections import Counter
from contextlib import AsyncExitStack, asynccontextmanager
from typing import TYPE_CHECKING

import pytest
from anyio import to_thread

from tests.testkit.alarm import auntil
from tests.testkit.checker import Minimum, check
from tests.testkit.history import History
from tests.testkit.load_publisher import Publisher
from tests.testkit.raw_log import RawLog
from tests.testkit.reader import EventSourceReader
from tests.testkit.service import Service
from tests.testkit.valkey import Valkey, start_valkey
from tests.testkit.visit import visit

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Callable
    from pathlib import Path

    import httpx

pytestmark = [pytest.mark.real(seconds=15), pytest.mark.timeout(180)]

AWAY = 4.0
"""Seconds for which the store is gone, at least."""
DURABLE = ("--appendonly", "yes", "--appendfsync", "always")
CHANNEL, UNREAD = "general", "never-read-before"


class Load:
    """Publishers that never rest, with and without a `localId`; and readers, whose long waits are shortened."""

    def __init__(self, service: Service, client: httpx.AsyncClient) -> None:
        self.history = History()
        self.publishers = [
            Publisher(self.history, client, service.url, CHANNEL, f"publisher {n}", keyed=n % 2 == 0) for n in range(4)
        ]
        url = f"{service.url}/channels/{CHANNEL}/stream"
        logs = [self.history.reader(f"reader {n}", CHANNEL, must_reach_head=True) for n in range(8)]
        self.readers = [EventSourceReader(log, url, client=client, retry_scale=0.1) for log in logs]

    @asynccontextmanager
    async def reading(self) -> AsyncIterator[None]:
        async with AsyncExitStack() as stack:
            for reader in self.readers:
                await stack.enter_async_context(reader)
            for reader in self.readers:
                await reader.until(lambda r: r.log.events, "hello", alarm=30)
            yield

    @asynccontextmanager
    async def publishing(self) -> AsyncIterator[None]:
        resting = asyncio.Event()

        async def publish(publisher: Publisher) -> None:
            while not resting.is_set():
                await publisher.publish_many(1)

        async with asyncio.TaskGroup() as group:
            for publisher in self.publishers:
                group.create_task(publish(publisher))
            yield
            resting.set()

    async def published(self, more: int) -> None:
        """Wait until each publisher was answered with so many ids more."""
        wanted = {publisher: len(publisher.ids) + more for publisher in self.publishers}
        await auntil(lambda: all(len(p.ids) >= n for p, n in wanted.items()), "posts to be answered", alarm=60)

    @property
    def refused(self) -> int:
        """Posts that were answered with a 503."""
        return sum(one.answers["503 none"] + one.answers["503 unknown"] for one in self.publishers)

    async def turned_away(self) -> None:
        """Wait until as many posts were refused as there are publishers."""
        await auntil(lambda: self.refused >= len(self.publishers), "posts to be refused", alarm=60)

    async def read(self, head: str) -> None:
        """Wait until everybody has read so far."""
        for reader in self.readers:
            await reader.until_at({CHANNEL: head}, alarm=60)

    def judge(self) -> None:
        """Nothing lost, doubled, out of order, or missing in the log; nobody was cut off without a word."""
        verdict = check(self.history, Minimum(messages=8 * 160, published=160, readers=8, messages_each=160))
        verdict.require()
        assert not verdict.counts["gaps"]
        assert verdict.counts["cuts"] == 0
        assert set(verdict.counts["ends"]) <= {"unavailable"}
        answers = sum((publisher.answers for publisher in self.publishers), Counter())
        assert answers.keys() <= {"201", "200", "503 none", "503 unknown"}, answers
        assert self.refused >= 4, answers


@pytest.mark.parametrize(
    ("leave", "come_back"),
    [(Valkey.kill, Valkey.start), (Valkey.pause, Valkey.resume)],
    ids=["killed", "frozen"],
)
async def test_the_store_is_away_for_a_while_under_load(
    leave: Callable[[Valkey], None], come_back: Callable[[Valkey], None], tmp_path: Path, client: httpx.AsyncClient
) -> None:
    with start_valkey(tmp_path / "valkey", *DURABLE) as store:
        env = {"REDIS_URL": store.url, "GAPLESS_RATE": "0", "GAPLESS_CAP": "20000"}
        async with Service(env) as service:
            load, pid = Load(service, client), service.pid
            async with load.reading():
                async with load.publishing():
                    await load.published(20)
                    leave(store)
                    await asyncio.gather(seconds(AWAY), assert_away(service, client), load.turned_away())
                    await to_thread.run_sync(come_back, store)
                    await load.published(20)
                    await assert_back(service, client)
                log = RawLog(store, CHANNEL)
                await load.read(log.entries()[-1].id)
                log.tell(load.history)
            assert (service.alive, service.pid) == (True, pid)
            assert "Traceback" not in service.log
    load.judge()


async def seconds(duration: float) -> None:
    """For how long a fault lasts."""
    end = asyncio.get_running_loop().time() + duration
    await auntil(lambda: asyncio.get_running_loop().time() >= end, "time to pass", alarm=duration * 5)


async def assert_away(service: Service, client: httpx.AsyncClient) -> None:
    """Everything says so in its own way, and soon."""
    assert (await client.get(f"{service.url}/healthz")).status_code == 200
    await auntil(lambda: said_ready(service, client, 503), "what was said a second ago to hold no more", alarm=30)
    stream = assert_stream_sends_away(service, client)
    paths = ("/readyz", f"/channels/{UNREAD}/messages", f"/channels/{UNREAD}/messages?after=t9x2k0ab-1-abcd&wait=1")
    _, *replies = await asyncio.gather(stream, *(client.get(f"{service.url}{path}", timeout=15) for path in paths))
    for reply in replies:
        assert (reply.status_code, reply.headers["content-type"]) == (503, "application/problem+json"), reply.text
        assert int(reply.headers["retry-after"]) >= 1


async def assert_stream_sends_away(service: Service, client: httpx.AsyncClient) -> None:
    """200, a late retry and `end`: no hello and no id, so that an EventSource comes back with what it had."""
    async with visit(f"{service.url}/channels/{UNREAD}/stream", "t9x2k0ab-1-abcd", client=client) as visited:
        [end] = await visited.rest(alarm=30)
    assert (end.event, end.data, end.id) == ("end", {"reason": "unavailable"}, None)
    assert (visited.retry or 0) >= 5000
    assert visited.whole


async def said_ready(service: Service, client: httpx.AsyncClient, status: int) -> bool:
    return (await client.get(f"{service.url}/readyz", timeout=15)).status_code == status


async def assert_back(service: Service, client: httpx.AsyncClient) -> None:
    await auntil(lambda: said_ready(service, client, 200), "it is said to be ready", alarm=30)
    async with visit(f"{service.url}/channels/{UNREAD}/stream", client=client) as visited:
        await visited.next("hello")
