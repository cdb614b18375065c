"""What travels from Redis is what is delivered, and little more, by Redis's own counters. (docs/architecture.md, 7)"""

from __future__ import annotations

import asyncio
from contextlib import AsyncExitStack, ExitStack, contextmanager
from typing import TYPE_CHECKING, Any, NamedTuple

import httpx
import pytest
from anyio import to_thread

from tests.testkit.service import Service
from tests.testkit.upstash.place import UNLIMITED, upstash
from tests.testkit.valkey import start_valkey
from tests.testkit.visit import visit

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from pathlib import Path

pytestmark = [pytest.mark.real(seconds=4), pytest.mark.timeout(180)]

CHANNEL = "general"
LARGE = "x" * 60_000
COUNT = 30
"""So many large messages are seven times the slack, and more than three pages."""
ABOVE_NOTICES = "x" * 70_000
LIVE = 10
TIMES = 1.3
SLACK = 262_144
TURNS = {"AWS_LAMBDA_FUNCTION_NAME": "f", "AWS_LAMBDA_EXEC_WRAPPER": "/opt/bootstrap", "GAPLESS_PUBLIC": "true"}


class Link(NamedTuple):
    """A store; how much it has sent; a process that has written the large messages to it, and their ids."""

    env: Callable[..., dict[str, str]]
    sent: Callable[[], int]
    writer: Service
    ids: list[str]


@pytest.fixture(scope="module", params=["tcp", "upstash"])
def link(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Link]:
    """One for all: reading changes nothing. A process that knows nothing of the channel is a test's own."""
    folder = tmp_path_factory.mktemp(request.param)
    with ExitStack() as stack:
        env, sent = (over_tcp if request.param == "tcp" else over_rest)(folder, stack)
        writer = stack.enter_context(Service(env()))
        yield Link(env, sent, writer, [post(writer, LARGE) for _ in range(COUNT)])


def over_tcp(folder: Path, stack: ExitStack) -> tuple[Callable[..., dict[str, str]], Callable[[], int]]:
    store = stack.enter_context(start_valkey(folder / "valkey"))
    return (lambda **settings: {**UNLIMITED, "REDIS_URL": store.url, **settings}), store.sent


def over_rest(folder: Path, stack: ExitStack) -> tuple[Callable[..., dict[str, str]], Callable[[], int]]:
    place = stack.enter_context(upstash(folder))
    return place.env, place.up.sent


class Page(NamedTuple):
    """Its bytes, and the ids in it."""

    bytes: int
    ids: list[str]


@contextmanager
def measured(link: Link, delivered: Callable[[], int]) -> Iterator[None]:
    """At most 1.3 bytes for each that was delivered, and 256 KiB."""
    before = link.sent()
    yield
    sent = link.sent() - before
    print(f"{sent} bytes from Redis for {delivered()} delivered")
    assert delivered() > 0
    assert sent <= TIMES * delivered() + SLACK, f"{sent} bytes for {delivered()}"


def messages(service: Service, channel: str = CHANNEL) -> str:
    return f"{service.url}/channels/{channel}/messages"


def post(service: Service, text: str, channel: str = CHANNEL) -> str:
    body = {"data": text}
    reply = httpx.post(messages(service, channel), json=body, timeout=30, trust_env=False, verify=False)
    assert reply.status_code == 201, reply.text
    return str(reply.json()["id"])


async def history(client: httpx.AsyncClient, service: Service, channel: str = CHANNEL, **query: Any) -> Page:
    """One page."""
    reply = await client.get(messages(service, channel), params=query, timeout=30)
    assert reply.status_code == 200, reply.text
    return Page(len(reply.content), [one["id"] for one in reply.json()["messages"]])


async def catch_up(service: Service, client: httpx.AsyncClient, after: str, count: int) -> int:
    """Bytes of so many messages."""
    async with visit(f"{service.url}/channels/{CHANNEL}/stream", after, client=client) as reader:
        await reader.next("hello")
        return sum(len(text) for text in await reader.messages(count, alarm=60))


async def test_a_backlog(link: Link, client: httpx.AsyncClient) -> None:
    """By a process that knows nothing of the channel, and by one that does."""
    with Service(link.env()) as cold:
        for service in (cold, link.writer):
            delivered = 0
            with measured(link, lambda: delivered):  # noqa: B023 - called here
                delivered = await catch_up(service, client, link.ids[0], COUNT - 1)
            assert delivered == (COUNT - 1) * len(LARGE)


async def test_one_message_of_many(link: Link, client: httpx.AsyncClient) -> None:
    ids = link.ids
    with Service(link.env()) as cold:
        for service in (cold, link.writer):
            for query in ({"after": ids[0]}, {"before": ids[-1]}, {}):
                delivered = 0
                with measured(link, lambda: delivered):  # noqa: B023 - called here
                    delivered, found = await history(client, service, limit=1, **query)
                assert found == [{"after": ids[1], "before": ids[-2]}.get(next(iter(query), ""), ids[-1])]


async def test_pages(link: Link, client: httpx.AsyncClient) -> None:
    with Service(link.env()) as cold:
        for query in ({"after": link.ids[0]}, {"before": link.ids[-1]}, {}):
            delivered = 0
            with measured(link, lambda: delivered):  # noqa: B023 - called here
                delivered, found = await history(client, cold, limit=200, **query)
            assert len(found) == 8


@pytest.mark.parametrize("processes", [1, 3])
async def test_live_messages_too_large_for_a_notice(link: Link, processes: int, client: httpx.AsyncClient) -> None:
    channel = f"live{processes}"
    async with AsyncExitStack() as stack:
        others = [stack.enter_context(Service(link.env())) for _ in range(processes - 1)]
        post(link.writer, "first", channel)
        readers = [
            await stack.enter_async_context(visit(f"{service.url}/channels/{channel}/stream", client=client))
            for service in (link.writer, *others)
        ]
        for reader in readers:
            await reader.next("hello")
        delivered = 0
        with measured(link, lambda: delivered):
            for _ in range(LIVE):
                await to_thread.run_sync(post, link.writer, ABOVE_NOTICES, channel)
                for reader in readers:
                    delivered += len((await reader.messages(1))[0])
            await asyncio.sleep(5)  # the reads that follow, which would count for the next test of this store
        assert delivered == processes * LIVE * len(ABOVE_NOTICES)


async def test_a_long_poll(link: Link, client: httpx.AsyncClient) -> None:
    """In a channel of its own, which gets one message more."""
    head = [post(link.writer, LARGE, "polled") for _ in range(COUNT)][-1]
    with Service(link.env()) as service:
        delivered = 0
        with measured(link, lambda: delivered):
            waiting = asyncio.create_task(history(client, service, "polled", after=head, wait=20))
            await asyncio.sleep(5)  # the reads that follow the beginning
            await to_thread.run_sync(post, link.writer, LARGE, "polled")
            delivered, found = await waiting
        assert len(found) == 1


async def test_buffered_turns(link: Link, client: httpx.AsyncClient) -> None:
    with Service(link.env(**TURNS)) as service:
        for at, count in ((0, 3), (COUNT - 3, 2), (COUNT - 2, 1)):
            delivered = 0
            with measured(link, lambda: delivered):  # noqa: B023 - called here
                delivered = await catch_up(service, client, link.ids[at], count)
