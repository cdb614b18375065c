"""Half-open: every connection to the store takes bytes and never brings any again, and nobody is told of it."""

from __future__ import annotations

import asyncio
from contextlib import contextmanager
from typing import TYPE_CHECKING
from urllib.parse import urlsplit

import pytest

from gapless.stores.redis import lines as redis_lines
from gapless.stores.upstash import rest as upstash_rest
from tests.testkit.checker import Minimum, check
from tests.testkit.fault_proxy import Blackhole, FaultProxy
from tests.testkit.history import History
from tests.testkit.load_publisher import Publisher
from tests.testkit.reader import EventSourceReader
from tests.testkit.service import Service
from tests.testkit.upstash import EmulatorProcess
from tests.testkit.valkey import start_valkey

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    import httpx

pytestmark = [pytest.mark.real(seconds=15), pytest.mark.timeout(180)]

CHANNEL = "general"
RECHECK = 2.0
SETTINGS = {"GAPLESS_RATE": "0", "GAPLESS_STREAM_RATE": "0", "GAPLESS_RECHECK": str(RECHECK), "GAPLESS_RETRY_MS": "50"}
MESSAGES = 5


@contextmanager
def tcp(folder: Path) -> Iterator[tuple[tuple[str, int], dict[str, str]]]:
    """Where the store is, and what a service is told of it; {} stands for the address."""
    with start_valkey(folder, port=None) as store:
        yield ("127.0.0.1", store.port), {"REDIS_URL": "redis://{}"}


@contextmanager
def upstash(folder: Path) -> Iterator[tuple[tuple[str, int], dict[str, str]]]:
    """The same of Upstash."""
    with start_valkey(folder) as store, EmulatorProcess(store.url) as up:
        port = urlsplit(up.url).port
        assert port is not None
        told = {"UPSTASH_REDIS_REST_URL": "http://{}", "UPSTASH_REDIS_REST_TOKEN": up.token}
        yield ("127.0.0.1", port), told


@pytest.mark.parametrize(
    ("place", "patience"), [(tcp, redis_lines.REPLY_TIMEOUT), (upstash, upstash_rest.REPLY_TIMEOUT)]
)
async def test_every_connection_is_half_open(
    place: object, patience: float, tmp_path: Path, client: httpx.AsyncClient
) -> None:
    """The recheck finds the message, after the time that a command waits for its answer on a dead connection."""
    bound = RECHECK + patience
    loop = asyncio.get_running_loop()
    history = History()
    delays = []
    with place(tmp_path) as (address, env):  # type: ignore[operator]
        async with FaultProxy(address) as proxy:

            def service(port: int) -> Service:
                return Service(SETTINGS | {name: value.format(f"127.0.0.1:{port}") for name, value in env.items()})

            async with service(proxy.port) as here, service(address[1]) as there:
                ann = Publisher(history, client, there.url, CHANNEL, keyed=False)
                log = history.reader("reader", CHANNEL)
                async with EventSourceReader(
                    log, f"{here.url}/channels/{CHANNEL}/stream", client=client, retry_scale=0.2
                ) as reader:
                    await reader.until(lambda r: r.log.events, "hello", alarm=30)
                    await reader.until_at({CHANNEL: (await ann.publish("heard"))[-1]}, alarm=30)
                    hole = proxy.arm(Blackhole(), connections=range(proxy.connections))
                    for number in range(MESSAGES):
                        began = loop.time()
                        await reader.until_at({CHANNEL: (await ann.publish(number))[-1]}, alarm=5 * bound)
                        delays.append(loop.time() - began)
                assert hole.hits >= 1
                assert "Traceback" not in here.log
    print([f"{delay:.2f} s" for delay in delays])
    check(history, Minimum(messages=1 + MESSAGES, readers=1)).require()
