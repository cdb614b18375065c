"""The service as a function, its clients, and what must hold after each test."""

from __future__ import annotations

import itertools
from contextlib import AsyncExitStack, asynccontextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal, NamedTuple, Unpack
from urllib.parse import urlsplit

from tests.testkit.browser import PageStream, chromium, empty_origin, event_source
from tests.testkit.fault_proxy import FaultProxy
from tests.testkit.lambda_runtime import Front, LambdaFront, Setup
from tests.testkit.node import NodeReader, node_reader

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Sequence

    import httpx

    from tests.testkit.lambda_runtime.interpreter import FunctionOptions
    from tests.testkit.upstash.process import EmulatorProcess

TREE = Path(__file__).parents[2]
HANDLER = "app.lambda_handler.handler"
OPEN = {"GAPLESS_PUBLIC": "true", "GAPLESS_RATE": "0"}
Client = Literal["eventsource", "chromium"]


@asynccontextmanager
async def serving(
    env: dict[str, str],
    kind: Front = Front.HTTP_API_V2,
    *,
    setup: Setup | None = None,
    handler: str = HANDLER,
    **function: Unpack[FunctionOptions],
) -> AsyncIterator[LambdaFront]:
    """The service behind a front. At the end: nothing failed, ran out of time, or outlived its reply."""
    function = {"cwd": TREE, **function, "env": OPEN | env}
    async with LambdaFront(handler, kind, setup=setup, watch_leftovers=True, **function) as front:
        yield front
        done = len(front.stats.invocations)
    assert (front.stats.timeouts, front.stats.failures, front.stats.faults) == (0, 0, []), front.stats.log
    assert 0 < done <= len(front.stats.leftovers)
    assert not any(front.stats.leftovers.values()), front.stats.leftovers
    assert {record.ended for record in front.stats.environments} == {"closed"}, front.stats.log


@asynccontextmanager
async def through_a_proxy(store: dict[str, str]) -> AsyncIterator[tuple[dict[str, str], FaultProxy]]:
    """The settings of a store that is reached through a proxy."""
    name = next(name for name, value in store.items() if "://" in value)
    parts = urlsplit(store[name])
    assert parts.hostname and parts.port
    async with FaultProxy((parts.hostname, parts.port)) as proxy:
        yield store | {name: f"{parts.scheme}://127.0.0.1:{proxy.port}"}, proxy


def upstash(store: EmulatorProcess) -> dict[str, str]:
    """The settings that name this store."""
    return {"UPSTASH_REDIS_REST_URL": store.url, "UPSTASH_REDIS_REST_TOKEN": store.token}


@asynccontextmanager
async def reading(client: Client, url: str) -> AsyncIterator[NodeReader | PageStream]:
    """A client in its place: it has heard `hello`. Chromium reads from a page of another origin (see `origin`)."""
    async with AsyncExitStack() as stack:
        reader: NodeReader | PageStream
        if client == "chromium":
            page = await stack.enter_async_context(empty_origin())
            browser = await stack.enter_async_context(chromium())
            reader = await stack.enter_async_context(event_source(browser, url, page_url=page))
        else:
            reader = await stack.enter_async_context(node_reader(client, url))
        await reader.until(lambda one: one.of("hello"), "hello")
        yield reader


class Sent(NamedTuple):
    """A message that was answered with 201."""

    id: str
    data: Any


async def publish(http: httpx.AsyncClient, channel: str, messages: Sequence[Any], sizes: Sequence[int]) -> list[Sent]:
    """Send these data one request after the other, in batches of `sizes` in turn; 1 is no array."""
    sent: list[Sent] = []
    turns = itertools.cycle(sizes)
    while len(sent) < len(messages):
        batch = messages[len(sent) :][: next(turns)]
        body = [{"data": data} for data in batch]
        reply = await http.post(f"/channels/{channel}/messages", json=body if len(body) > 1 else body[0])
        assert reply.status_code == 201, reply.text
        told = reply.json() if len(body) > 1 else [reply.json()]
        sent += [Sent(one["id"], data) for one, data in zip(told, batch, strict=True)]
    return sent
