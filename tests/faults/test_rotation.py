"""Many publishers and readers at processes that do not last: nothing is lost, doubled, or out of order."""

from __future__ import annotations

import asyncio
from contextlib import AsyncExitStack, asynccontextmanager
from typing import TYPE_CHECKING

import pytest

from tests.testkit.alarm import auntil
from tests.testkit.checker import Minimum, Verdict, check
from tests.testkit.history import History
from tests.testkit.load_publisher import Publisher
from tests.testkit.raw_log import RawLog
from tests.testkit.reader import EventSourceReader
from tests.testkit.service import Service
from tests.testkit.valkey import start_valkey

if TYPE_CHECKING:
    from collections.abc import AsyncIterator
    from pathlib import Path

    import httpx

    from tests.testkit.valkey import Valkey

PUBLISHERS, READERS, MESSAGES = 8, 12, 1000
BATCH, ROTATIONS = 6, 4
SETTINGS = {"GAPLESS_RATE": "0", "GAPLESS_STREAM_RATE": "0", "GAPLESS_RETRY_MS": "50", "GAPLESS_CAP": "20000"}
CHANNEL = "general"
EVERYTHING = {"messages": MESSAGES * READERS, "messages_each": MESSAGES, "published": MESSAGES, "readers": READERS}
"""What must have happened: every message came to every reader."""


class Crowd:
    """Publishers and readers of one channel, each time at one of the services."""

    def __init__(self, store: Valkey, services: list[Service], client: httpx.AsyncClient) -> None:
        self.history = History()
        self.log = RawLog(store, CHANNEL)
        urls = [service.url for service in services]
        streams = [f"{url}/channels/{CHANNEL}/stream" for url in urls]
        self.publishers = [
            Publisher(self.history, client, urls, CHANNEL, f"publisher {n}", seed=n) for n in range(PUBLISHERS)
        ]
        self.readers = [
            EventSourceReader(
                self.history.reader(f"reader {n}", CHANNEL, must_reach_head=True), streams, client=client, seed=n
            )
            for n in range(READERS)
        ]

    @property
    def acked(self) -> int:
        """Messages that were answered with an id."""
        return sum(len(publisher.ids) for publisher in self.publishers)

    async def rotated(self, times: int) -> None:
        """Wait until each reader has come back so often."""
        for reader in self.readers:
            await reader.until(lambda r: r.opened > times, f"to come back {times} times", alarm=60)

    @asynccontextmanager
    async def reading(self) -> AsyncIterator[None]:
        """All readers have joined; at the end they are waited for, up to the newest message."""
        async with AsyncExitStack() as stack:
            for reader in self.readers:
                await stack.enter_async_context(reader)
            for reader in self.readers:
                await reader.until(lambda r: r.log.events, "hello", alarm=60)
            yield
            head = {CHANNEL: self.log.entries()[-1].id}
            for reader in self.readers:
                await reader.until_at(head, alarm=60)
        self.log.tell(self.history)

    def verdict(self, minimum: Minimum) -> Verdict:
        """The checker's, which found nothing wrong; and nobody was told of a gap."""
        verdict = check(self.history, minimum)
        verdict.require()
        assert not verdict.counts["gaps"]
        return verdict


async def publish(crowd: Crowd, seconds: float, *, rotations: int = 0) -> None:
    """All messages, singly and in small batches, spread over so many seconds.

    The last ones wait until each reader has come back so often: on a machine that stalls that takes longer.
    """
    loop = asyncio.get_running_loop()
    end, share = loop.time() + seconds, MESSAGES // PUBLISHERS

    async def post(publisher: Publisher) -> None:
        while left := share - len(publisher.ids):
            await asyncio.sleep(end - seconds * left / share - loop.time())  # the pace of a load, not a wait
            if left <= BATCH:
                await crowd.rotated(rotations)
            await publisher.publish_many(min(left, BATCH), most=BATCH)

    async with asyncio.TaskGroup() as group:
        for publisher in crowd.publishers:
            group.create_task(post(publisher))


async def kill(crowd: Crowd, services: list[Service], times: int) -> None:
    """One after the other, evenly over all that is published; each is started again at once."""
    for number in range(times):
        due = MESSAGES * (number + 1) // (times + 1)
        await auntil(lambda due=due: crowd.acked >= due, f"{due} messages", alarm=60)
        await services[number % len(services)].arestart()


@pytest.mark.real(seconds=12)
@pytest.mark.timeout(180)
async def test_readers_rotate_over_two_processes(tmp_path: Path, client: httpx.AsyncClient) -> None:
    with start_valkey(tmp_path / "valkey") as store:
        env = SETTINGS | {"REDIS_URL": store.url, "GAPLESS_LIFETIME": "1.2"}
        async with Service(env) as left, Service(env) as right:
            crowd = Crowd(store, [left, right], client)
            async with crowd.reading():
                await publish(crowd, 6, rotations=ROTATIONS)
    assert crowd.acked == MESSAGES
    verdict = crowd.verdict(Minimum(**EVERYTHING, reconnects_each=ROTATIONS))
    # Every stream that ended in the middle of it all was ended by its own deadline, and said so.
    assert set(verdict.counts["ends"]) == {"deadline"}


@pytest.mark.real(seconds=15)
@pytest.mark.timeout(180)
async def test_one_of_three_processes_is_always_being_killed_and_replaced(
    tmp_path: Path, client: httpx.AsyncClient
) -> None:
    """SIGKILL in the middle of whatever it does; the next one starts cold, on its port."""
    with start_valkey(tmp_path / "valkey") as store:
        async with AsyncExitStack() as stack:
            services = [Service(SETTINGS | {"REDIS_URL": store.url}) for _ in range(3)]
            await asyncio.gather(*(stack.enter_async_context(service) for service in services))
            crowd = Crowd(store, services, client)
            async with crowd.reading():
                publishing = asyncio.create_task(publish(crowd, 8))
                await kill(crowd, services, 12)
                await publishing
    assert crowd.acked == MESSAGES
    crowd.verdict(Minimum(**EVERYTHING, cuts=20))
