"""The built function at work: streams that are ended by deadlines and SIGTERM, over several instances."""

from __future__ import annotations

import asyncio
import contextlib
import json
import signal
from contextlib import AsyncExitStack, asynccontextmanager
from typing import TYPE_CHECKING, Literal

import httpx
import pytest

from tests.testkit.alarm import auntil
from tests.testkit.browser import PageStream, chromium, event_source
from tests.testkit.node import NodeReader, node_reader
from tests.testkit.vercel import GRACE, Bundle, VercelFunction

if TYPE_CHECKING:
    from collections.abc import AsyncIterator

    from tests.testkit.upstash import EmulatorProcess

pytestmark = pytest.mark.real(seconds=30)

Client = Literal["node", "chromium"]
STREAM = "/channels/general/stream"


@pytest.fixture
async def http() -> AsyncIterator[httpx.AsyncClient]:
    async with httpx.AsyncClient(trust_env=False, timeout=30) as client:
        yield client


@asynccontextmanager
async def listening(client: Client, fn: VercelFunction) -> AsyncIterator[NodeReader | PageStream]:
    """An EventSource of Node or of Chromium on the channel, past its first `hello`."""
    async with AsyncExitStack() as stack:
        if client == "node":
            reader: NodeReader | PageStream = await stack.enter_async_context(
                node_reader("eventsource", fn.url + STREAM)
            )
        else:
            browser = await stack.enter_async_context(chromium())
            reader = await stack.enter_async_context(event_source(browser, STREAM, page_url=fn.url))
        await reader.until(lambda seen: seen.of("hello"), "the first hello")
        yield reader


async def publish(http: httpx.AsyncClient, fn: VercelFunction, *numbers: int) -> None:
    messages = [{"data": number} for number in numbers]
    answer = await http.post(f"{fn.url}/channels/general/messages", json=messages)
    assert answer.status_code == 201, answer.text


async def publish_at_last(http: httpx.AsyncClient, fn: VercelFunction, number: int) -> None:
    """Repeated until the service says that it has it: by its `localId` it is still one message."""
    content = {"data": number, "localId": str(number)}
    for _ in range(5):
        with contextlib.suppress(httpx.TransportError):
            answer = await http.post(f"{fn.url}/channels/general/messages", json=content)
            if answer.status_code in {200, 201}:
                return
    raise AssertionError(f"message {number} was not taken")


def numbers(reader: NodeReader | PageStream) -> list[int]:
    return [json.loads(message.data)["data"] for message in reader.messages]


async def test_500_messages_across_ten_deadlines_come_once_and_in_order(
    bundle: Bundle, env: dict[str, str], http: httpx.AsyncClient
) -> None:
    env["GAPLESS_RETRY_MS"] = "50"
    # Vercel ends a request after 3.6 s, and a stream ends itself 3 s before that, or a little sooner.
    async with (
        VercelFunction(bundle, env=env, instances=2, max_duration=3.6, freeze=True) as fn,
        listening("node", fn) as node,
        listening("chromium", fn) as chromium,
    ):
        for first in range(0, 500, 5):
            await publish(http, fn, *range(first, first + 5))
            if first % 45 == 0:
                for reader in (node, chromium):
                    await reader.until(lambda seen, turn=first // 45: seen.opens > turn + 1, "the next stream")
        for reader in (node, chromium):
            await reader.until(lambda seen: len(seen.messages) >= 500, "all messages")
            assert numbers(reader) == list(range(500))
            assert reader.opens > 10
            assert [event.data for event in reader.of("end")] == ['{"reason":"deadline"}'] * len(reader.of("end"))
            assert {json.loads(event.data)["mode"] for event in reader.of("hello")} == {"streaming"}
            assert reader.of("gap") == []
        assert (fn.tally["cut"], fn.tally["failed"]) == (0, 0)
        assert all(instance.handled > 3 and instance.freezes > 0 for instance in fn.instances)


# Where in the bytes of a message: before them, in the size of its chunk, in its id, in its data, at its blank line.
PLACES = {"cut": (1, 2, 8, 23, 60, 120, 200), "kill": (8, 120)}


@pytest.mark.parametrize("at_deadline", ["cut", "kill"])
async def test_streams_that_are_cut_off_in_mid_air_lose_nothing(
    bundle: Bundle, env: dict[str, str], http: httpx.AsyncClient, at_deadline: Literal["cut", "kill"]
) -> None:
    """What happens at the deadline to a function that does not know it, at a moment that the test chooses."""
    env["GAPLESS_RETRY_MS"] = "50"
    async with (
        VercelFunction(bundle, env=env, instances=2, deadline_told=False, at_deadline=at_deadline) as fn,
        listening("node", fn) as reader,
    ):
        for turn, place in enumerate(PLACES[at_deadline]):
            await publish_at_last(http, fn, 5 * turn)
            await reader.until(lambda seen, turn=turn: len(seen.messages) == 5 * turn + 1, "a stream that delivers")
            fn.cut(after=place)
            for number in range(5 * turn + 1, 5 * turn + 5):
                await publish_at_last(http, fn, number)
            await reader.until(lambda seen, turn=turn: len(seen.messages) == 5 * turn + 5, "the next stream")
            assert (fn.tally["cut"], reader.opens) == (turn + 1, turn + 2)
        assert numbers(reader) == list(range(5 * len(PLACES[at_deadline])))
        assert (reader.of("gap"), reader.of("end")) == ([], [])


async def test_fifty_streams_of_an_instance_share_one_upstream_a_channel(
    bundle: Bundle, env: dict[str, str], upstash: EmulatorProcess, http: httpx.AsyncClient
) -> None:
    async def read(stream: httpx.Response) -> list[str]:
        lines = stream.aiter_lines()
        return [await anext(line async for line in lines if line.startswith("data: ")) for _ in range(2)]

    async with VercelFunction(bundle, env=env) as fn, AsyncExitStack() as stack:
        urls = [fn.url + f"/channels/{name}/stream" for name in ("general", "other")]
        streams = [await stack.enter_async_context(http.stream("GET", urls[n % 2])) for n in range(50)]
        readers = [asyncio.create_task(read(stream)) for stream in streams[::2]]
        await auntil(lambda: len(upstash.upstreams()) == 2, "both upstreams are open")
        await publish(http, fn, 7)
        received = await asyncio.gather(*readers)
        assert [json.loads(lines[1].removeprefix("data: "))["data"] for lines in received] == [7] * 25
        assert sorted(path.rsplit(":", 1)[1] for path in upstash.upstreams()) == ["general", "other"]
        assert upstash.counts()["SUBSCRIBE"] == 2


@pytest.mark.parametrize("instances", [1, 2])
async def test_sigterm_in_mid_stream_loses_nothing(
    bundle: Bundle, env: dict[str, str], http: httpx.AsyncClient, instances: int
) -> None:
    env["GAPLESS_RETRY_MS"] = "50"
    async with (
        VercelFunction(bundle, env=env, instances=instances) as fn,
        listening("node", fn) as reader,
    ):
        for turn in range(2):
            await reader.until(
                lambda seen, turn=turn: fn.running == 1 and len(seen.of("hello")) == turn + 1, "the one stream"
            )
            (streaming,) = [instance for instance in fn.instances if instance.running]
            # More than Vercel grants: here the others start on the same processor. How soon it knows and says goodbye,
            # tests/platforms/test_shutdown.py tells by looks.
            ending = asyncio.create_task(fn.terminate(streaming, grace=60 * GRACE))
            for number in range(30 * turn, 30 * turn + 30):  # others take them, while it says goodbye
                await publish(http, fn, number)
            assert (await ending).code == -signal.SIGTERM
        await reader.until(lambda seen: len(seen.messages) >= 60, "all messages")
        assert numbers(reader) == list(range(60))
        assert [event.data for event in reader.of("end")] == ['{"reason":"shutdown"}'] * 2
        assert (reader.of("gap"), fn.tally["failed"]) == ([], 0)
