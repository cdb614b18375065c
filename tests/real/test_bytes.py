"""What travels from Redis is what is delivered, and little more, by Redis's own counters. (docs/architecture.md, 7)"""

from __future__ import annotations

import asyncio
from contextlib import AsyncExitStack, contextmanager
from typing import TYPE_CHECKING, Any, Protocol

import httpx
import pytest

from tests.testkit.service import Service
from tests.testkit.upstash.place import UNLIMITED, Place, upstash
from tests.testkit.valkey import Valkey, start_valkey
from tests.testkit.visit import visit

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from pathlib import Path

pytestmark = [pytest.mark.real(seconds=8), pytest.mark.timeout(180)]

CHANNEL = "general"
LARGE = "x" * 60_000
ABOVE_NOTICES = "x" * 70_000
TIMES = 1.3
SLACK = 262_144
TURNS = {"AWS_LAMBDA_FUNCTION_NAME": "f", "AWS_LAMBDA_EXEC_WRAPPER": "/opt/bootstrap", "GAPLESS_PUBLIC": "true"}


class Link(Protocol):
    """A store, and how much it has sent."""

    def env(self, **settings: str) -> dict[str, str]: ...
    def sent(self) -> int: ...


class Tcp:
    def __init__(self, store: Valkey) -> None:
        self.store = store

    def env(self, **settings: str) -> dict[str, str]:
        return {**UNLIMITED, "REDIS_URL": self.store.url, **settings}

    def sent(self) -> int:
        return self.store.sent()


class Rest:
    def __init__(self, place: Place) -> None:
        self.env = place.env
        self.sent = place.up.sent


@pytest.fixture(params=["tcp", "upstash"])
def link(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[Link]:
    if request.param == "tcp":
        with start_valkey(tmp_path / "valkey") as store:
            yield Tcp(store)
    else:
        with upstash(tmp_path) as place:
            yield Rest(place)


@contextmanager
def measured(link: Link, delivered: Callable[[], int]) -> Iterator[None]:
    """At most 1.3 bytes for each that was delivered, and 256 KiB."""
    before = link.sent()
    yield
    sent = link.sent() - before
    print(f"{sent} bytes from Redis for {delivered()} delivered")
    assert delivered() > 0
    assert sent <= TIMES * delivered() + SLACK, f"{sent} bytes for {delivered()}"


def messages(service: Service) -> str:
    return f"{service.url}/channels/{CHANNEL}/messages"


async def post(client: httpx.AsyncClient, service: Service, *texts: str) -> list[str]:
    ids = []
    for text in texts:
        reply = await client.post(messages(service), json={"data": text})
        assert reply.status_code == 201, reply.text
        ids.append(reply.json()["id"])
    return ids


async def history(client: httpx.AsyncClient, service: Service, **query: Any) -> tuple[int, list[str]]:
    """Bytes of the page, and the ids in it."""
    reply = await client.get(messages(service), params=query, timeout=30)
    assert reply.status_code == 200, reply.text
    return len(reply.content), [one["id"] for one in reply.json()["messages"]]


async def catch_up(service: Service, client: httpx.AsyncClient, after: str, count: int) -> int:
    """Bytes of so many messages."""
    async with visit(f"{service.url}/channels/{CHANNEL}/stream", after, client=client) as reader:
        await reader.next("hello")
        return sum(len(text) for text in await reader.messages(count, alarm=60))


async def test_a_backlog(link: Link, client: httpx.AsyncClient) -> None:
    """By a process that knows nothing of the channel, and by one that does."""
    with Service(link.env()) as writer, Service(link.env()) as cold:
        ids = await post(client, writer, *[LARGE] * 60)
        for service in (cold, writer):
            delivered = 0
            with measured(link, lambda: delivered):  # noqa: B023 - called here
                delivered = await catch_up(service, client, ids[0], 59)
            assert delivered == 59 * len(LARGE)


async def test_one_message_of_many(link: Link, client: httpx.AsyncClient) -> None:
    with Service(link.env()) as writer, Service(link.env()) as cold:
        ids = await post(client, writer, *[LARGE] * 60)
        for service in (cold, writer):
            for query in ({"after": ids[0]}, {"before": ids[-1]}, {}):
                delivered = 0
                with measured(link, lambda: delivered):  # noqa: B023 - called here
                    delivered, found = await history(client, service, limit=1, **query)
                assert found == [{"after": ids[1], "before": ids[-2]}.get(next(iter(query), ""), ids[-1])]


async def test_pages(link: Link, client: httpx.AsyncClient) -> None:
    with Service(link.env()) as writer, Service(link.env()) as cold:
        ids = await post(client, writer, *[LARGE] * 60)
        for query in ({"after": ids[0]}, {"before": ids[-1]}, {}):
            delivered = 0
            with measured(link, lambda: delivered):  # noqa: B023 - called here
                delivered, found = await history(client, cold, limit=200, **query)
            assert len(found) == 8


@pytest.mark.parametrize("processes", [1, 3])
async def test_live_messages_too_large_for_a_notice(link: Link, processes: int, client: httpx.AsyncClient) -> None:
    async with AsyncExitStack() as stack:
        services = [stack.enter_context(Service(link.env())) for _ in range(processes)]
        await post(client, services[0], "first")
        path = f"/channels/{CHANNEL}/stream"
        readers = [await stack.enter_async_context(visit(s.url + path, client=client)) for s in services]
        for reader in readers:
            await reader.next("hello")
        delivered = 0
        with measured(link, lambda: delivered):
            for _ in range(20):
                await post(client, services[0], ABOVE_NOTICES)
                for reader in readers:
                    delivered += len((await reader.messages(1))[0])
        assert delivered == processes * 20 * len(ABOVE_NOTICES)


async def test_a_long_poll(link: Link, client: httpx.AsyncClient) -> None:
    with Service(link.env()) as writer, Service(link.env()) as service:
        ids = await post(client, writer, *[LARGE] * 60)
        delivered = 0
        with measured(link, lambda: delivered):
            waiting = asyncio.create_task(history(client, service, after=ids[-1], wait=20))
            await asyncio.sleep(5)  # the reads that follow the beginning
            await post(client, writer, LARGE)
            delivered, found = await waiting
        assert len(found) == 1


async def test_buffered_turns(link: Link, client: httpx.AsyncClient) -> None:
    with Service(link.env()) as writer, Service(link.env(**TURNS)) as service:
        ids = await post(client, writer, *[LARGE] * 60)
        for at, count in ((0, 3), (57, 2), (58, 1)):
            delivered = 0
            with measured(link, lambda: delivered):  # noqa: B023 - called here
                delivered = await catch_up(service, client, ids[at], count)
