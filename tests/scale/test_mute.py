"""Two hundred readers who never read a byte: they cost a bounded amount, and the others notice nothing."""

from __future__ import annotations

import re
import time
from typing import TYPE_CHECKING

import pytest

from tests.testkit.alarm import auntil
from tests.testkit.cost import memory, raise_limits
from tests.testkit.crowd import Crowd, crowd
from tests.testkit.service import Service
from tests.testkit.valkey import start_valkey

if TYPE_CHECKING:
    from pathlib import Path

    import httpx

pytestmark = [pytest.mark.real(seconds=15), pytest.mark.timeout(180)]

MUTE, OTHERS = 200, 50
CHANNEL = "general"
SETTINGS = {"GAPLESS_RATE": "0", "GAPLESS_STREAM_RATE": "0", "GAPLESS_HEARTBEAT": "60"}
SETTINGS |= {"GAPLESS_READ_RATE": "0", "GAPLESS_ADDRESS_SHARE": "1"}  # the crowd comes from one address
LARGE = "x" * 60_000
FLOOD = 100
"""Large messages: several times what the system takes in for a reader who takes nothing."""
A_READER = 256
"""KiB that a reader who takes nothing may hold in the process: the server's buffer of 64 KiB, and a chunk of 64 KiB or
one message."""
WANTED = 0.1
"""Seconds: the delay that deliveries to the others stay below on a machine that has nothing else to do."""


async def post(
    client: httpx.AsyncClient, service: Service, count: int, text: str = "", channel: str = CHANNEL
) -> list[str]:
    """One after the other, each with the time at which it was sent; their ids."""
    ids = []
    for _ in range(count):
        body = {"data": {"text": text, "sent": time.time()}}
        reply = await client.post(f"{service.url}/channels/{channel}/messages", json=body)
        assert reply.status_code == 201, reply.text
        ids.append(reply.json()["id"])
    return ids


async def delay(people: Crowd, client: httpx.AsyncClient, service: Service, begin: int) -> float:
    """The 90th percentile of a hundred messages to everybody who reads, one after the other.

    A machine that stalls does so to a few of them, and who never reads is there for all.
    """
    people.delays.clear()
    await post(client, service, 100)
    await people.until_at(begin + 100)
    found = sorted(people.delays)
    assert len(found) == 100 * OTHERS
    return found[len(found) * 9 // 10]


def delivered(service: Service) -> list[int]:
    """How many messages each stream that has ended was given, the fewest first."""
    return sorted(int(found) for found in re.findall(r"/stream 200 .* messages=(\d+)", service.log))


async def test_readers_that_never_read(tmp_path: Path, client: httpx.AsyncClient) -> None:
    raise_limits()
    with start_valkey(tmp_path) as store:
        async with Service(SETTINGS | {"REDIS_URL": store.url}) as service:
            async with crowd(service.port) as people:
                await post(client, service, 1)
                await people.join([CHANNEL] * OTHERS)
                await post(client, service, FLOOD, LARGE)
                await people.until_at(1 + FLOOD)
                alone = await delay(people, client, service, 1 + FLOOD)
                before = memory(service)
                mute = await people.join([CHANNEL] * MUTE, mute=True)
                await post(client, service, FLOOD, LARGE)
                await people.until_at(101 + 2 * FLOOD)
                held = (memory(service) - before) / MUTE
                beside = await delay(people, client, service, 101 + 2 * FLOOD)
                later = (memory(service) - before) / MUTE
            await auntil(lambda: len(delivered(service)) == MUTE + OTHERS, "all streams have ended", alarm=60)
    print(f"p90 {alone * 1e3:.1f} ms alone, {beside * 1e3:.1f} ms beside {MUTE} who never read; {held:.0f} KiB each")
    assert not any(ear.numbers or ear.greeted for ear in mute)
    assert delivered(service)[MUTE - 1] < FLOOD, "the system took it all, and nobody was in anybody's way"
    assert held <= A_READER
    assert later <= A_READER
    assert beside <= 5 * max(alone, WANTED)


@pytest.mark.parametrize("size", [3000, 60_000, 125_000])
async def test_wherever_they_stand_in_a_backlog(size: int, tmp_path: Path, client: httpx.AsyncClient) -> None:
    """Each at a place of its own, so that no two share what was read for them; messages up to the largest."""
    raise_limits()
    with start_valkey(tmp_path) as store:
        settings = SETTINGS | {"REDIS_URL": store.url, "GAPLESS_CAP": "5000"}
        async with Service(settings) as service, crowd(service.port) as people:
            ids = await post(client, service, 6_000_000 // size, "x" * size)
            await people.join([CHANNEL] * OTHERS)
            at = len(ids)
            await delay(people, client, service, at)
            before = memory(service)
            places = [ids[number * (at // 2) // MUTE] for number in range(MUTE)]
            mute = await people.join([CHANNEL] * MUTE, mute=True, at=places)
            await delay(people, client, service, at + 100)
            await delay(people, client, service, at + 200)
            held = (memory(service) - before) / MUTE
    print(f"{held:.0f} KiB for each of {MUTE} who stand anywhere before messages of {size} bytes")
    assert not any(ear.numbers or ear.greeted for ear in mute)
    assert 32 <= held <= A_READER, "with less than that the system took it all"


async def test_on_many_channels_at_once(tmp_path: Path, client: httpx.AsyncClient) -> None:
    """Whose blocks are each reader's own: they carry its whole cursor."""
    raise_limits()
    names = [f"c{number}" for number in range(16)]
    with start_valkey(tmp_path) as store:
        async with Service(SETTINGS | {"REDIS_URL": store.url}) as service, crowd(service.port) as people:
            begun = [(await post(client, service, 1, channel=name))[0] for name in names]
            for name in names:
                await post(client, service, 4, "x" * 125_000, channel=name)
            await people.join([",".join(names)])
            before = memory(service)
            mute = await people.join([",".join(names)] * MUTE, mute=True, at=[".".join(begun)] * MUTE)
            await auntil(lambda: memory(service) - before >= 64 * MUTE, "the system takes no more", alarm=60)
            for name in names:
                await post(client, service, 2, "x" * 50_000, channel=name)
            held = (memory(service) - before) / MUTE
    print(f"{held:.0f} KiB for each of {MUTE} on 16 channels")
    assert not any(ear.numbers or ear.greeted for ear in mute)
    assert held <= A_READER
