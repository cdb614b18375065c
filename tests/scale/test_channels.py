"""A thousand channels with a stream each: descriptors, connections to the store and memory, over TCP and Upstash."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING

import pytest

from gapless.stores.redis.lines import POOL
from gapless.stores.upstash.rest import AT_ONCE
from gapless.stores.upstash.subscriptions import MOST_UPSTREAMS
from tests.testkit.alarm import auntil
from tests.testkit.cost import descriptors, memory, raise_limits
from tests.testkit.crowd import Crowd, crowd
from tests.testkit.history import History
from tests.testkit.load_publisher import Publisher
from tests.testkit.service import Service
from tests.testkit.upstash import EmulatorProcess
from tests.testkit.valkey import start_valkey

if TYPE_CHECKING:
    from pathlib import Path

    import httpx

pytestmark = [pytest.mark.real(seconds=20), pytest.mark.timeout(180)]

CHANNELS = [f"c{number}" for number in range(1000)]
TOLD = CHANNELS[::10]
"""On which something is posted: some of those with an upstream of their own are among them, and many of the others."""
SETTINGS = {"GAPLESS_RATE": "0", "GAPLESS_STREAM_RATE": "0", "GAPLESS_RECHECK": "3600", "GAPLESS_HEARTBEAT": "60"}
SETTINGS |= {"GAPLESS_READ_RATE": "0", "GAPLESS_ADDRESS_SHARE": "1"}  # the crowd comes from one address
OWN = 20
"""Descriptors that a service has open by itself, and what a publisher's connections come to."""
A_CHANNEL = 140
"""KiB that a channel with its stream may cost; on the machine this was written on it costs 60."""


async def measured(service: Service, people: Crowd, client: httpx.AsyncClient) -> tuple[float, int]:
    """Everybody joins, and hears what is posted on their own channel, and nothing else.

    Returns KiB a channel, and descriptors beside the streams.
    """
    await people.join(["warm"] * 10)
    empty = memory(service)
    await people.join(CHANNELS)
    extra = descriptors(service) - len(people.ears)
    each = (memory(service) - empty) / len(CHANNELS)
    await publish(service, client)
    told = [ear for ear in people.ears if ear.channel in TOLD]
    await people.until(lambda: all(ear.numbers for ear in told), "each heard its own")
    assert all(ear.numbers == [1] * (ear in told) for ear in people.ears)
    return each, extra


async def publish(service: Service, client: httpx.AsyncClient) -> None:
    """One message on some of them, posted again where the store was too busy to answer."""
    left = iter(TOLD)

    async def some() -> None:
        for name in left:
            await Publisher(History(), client, service.url, name).publish(name)

    await asyncio.gather(*(some() for _ in range(8)))


def all_open(up: EmulatorProcess) -> list[str]:
    """The paths of the subscriptions open now, if none is missing."""
    paths = up.upstreams()
    return paths if len(paths) == MOST_UPSTREAMS + 1 else []


async def test_over_tcp(tmp_path: Path, client: httpx.AsyncClient) -> None:
    """One connection hears them all; the others are the pool's."""
    raise_limits()
    with start_valkey(tmp_path) as store:
        async with Service(SETTINGS | {"REDIS_URL": store.url}) as service, crowd(service.port) as people:
            each, extra = await measured(service, people, client)
            listening = len(store.cli("CLIENT", "LIST", "TYPE", "pubsub").splitlines())
            connections = len(store.cli("CLIENT", "LIST").splitlines()) - 1  # who asks is one
    print(f"{each:.1f} KiB a channel, {extra} descriptors beside the streams, {connections} connections to the store")
    assert listening == 1
    assert connections <= POOL + 1
    assert extra <= OWN + POOL + 1
    assert each <= A_CHANNEL


async def test_on_upstash(tmp_path: Path, client: httpx.AsyncClient) -> None:
    """Fifty requests for a channel each, and one that hears all the rest."""
    raise_limits()
    with start_valkey(tmp_path) as store, EmulatorProcess(store.url) as up:
        env = SETTINGS | {"UPSTASH_REDIS_REST_URL": up.url, "UPSTASH_REDIS_REST_TOKEN": up.token}
        async with Service(env) as service, crowd(service.port) as people:
            each, extra = await measured(service, people, client)
            # One that has heard nothing of what was just appended is opened anew: there may be one less for a moment.
            paths = await auntil(lambda: all_open(up), "each has its own, or shares the last", alarm=60)
    print(f"{each:.1f} KiB a channel, {extra} descriptors beside the streams, {len(paths)} upstreams")
    assert sum(path.startswith("/psubscribe/") for path in paths) == 1
    assert extra <= OWN + len(paths) + AT_ONCE
    assert each <= A_CHANNEL
