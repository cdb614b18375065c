"""Crowds: two thousand streams cut at once, readers who never read, a thousand channels. Beside a plain request.

The same readers as in `tests/scale`, where each of these figures has an upper bound.
"""

from __future__ import annotations

import asyncio
import sys
import time
from contextlib import AbstractAsyncContextManager

import httpx
from redis.asyncio import Redis

from benchmarks.publish import commands
from benchmarks.server import Server, serving, valkey
from tests.testkit.cost import raise_limits
from tests.testkit.crowd import Crowd, crowd

STREAMS, MUTE, CHANNELS = 2000, 200, 1000
CHANNEL = "bench"
LARGE = "x" * 60_000
ENV = {"GAPLESS_RATE": "0", "GAPLESS_STREAM_RATE": "0", "GAPLESS_READ_RATE": "0", "GAPLESS_RECHECK": "3600"}
ENV |= {"GAPLESS_HEARTBEAT": "60", "GAPLESS_ADDRESS_SHARE": "1"}


def main() -> None:
    """Measure each on a server of its own."""
    raise_limits()
    print(f"Python {sys.version.split()[0]}")
    for one in (storm, mute, channels):
        with valkey() as url, serving("gapless.asgi:app", ENV | {"REDIS_URL": url}) as server:
            asyncio.run(one(server, url))


async def storm(server: Server, redis_url: str) -> None:
    """All are cut, ten messages are posted meanwhile, all come back and catch up."""
    async with (
        httpx.AsyncClient(base_url=server.url) as http,
        Redis.from_url(redis_url) as redis,
        crowd_of(server) as us,
    ):
        request = await plain(server, http)
        empty = server.memory
        await us.join([CHANNEL] * STREAMS)
        await post(http, 10)
        await us.until_at(10)
        full, before, cpu, began = server.memory, await commands(redis), server.cpu, time.monotonic()
        us.cut()
        await post(http, 10)
        await us.connect(us.ears)
        await us.until_at(20)
        took, spent = time.monotonic() - began, (server.cpu - cpu) / STREAMS * 1e6
        reads = await commands(redis) - before - 4 * 10
        after = server.memory
    print(
        f"{STREAMS} streams: {(full - empty) / STREAMS:.1f} KiB each; after the storm {after / full:.2f} of the memory"
    )
    print(f"all back and level after {took:.1f} s, {reads} reads of Redis, {spent:.0f} µs CPU each")
    print(f"  = {spent / request:.1f} times a health check ({request:.0f} µs)")


async def mute(server: Server, _: str) -> None:
    """The delay of those who read, with and without others who never do."""
    async with httpx.AsyncClient(base_url=server.url) as http, crowd_of(server) as us:
        await us.join([CHANNEL] * 50)
        alone = await delay(us, http, 0)
        before = server.memory
        await us.join([CHANNEL] * MUTE, mute=True)
        await post(http, 100, LARGE)
        await us.until_at(300)
        held = (server.memory - before) / MUTE
        beside = await delay(us, http, 300)
    print(f"{MUTE} who never read: {held:.0f} KiB each")
    print(f"the others' p99 beside them: {beside:.1f} ms = {beside / alone:.2f} times what it was ({alone:.1f} ms)")


async def channels(server: Server, redis_url: str) -> None:
    """A stream on each."""
    async with Redis.from_url(redis_url) as redis, crowd_of(server) as us:
        await us.join(["warm"] * 10)
        before, began = server.memory, time.monotonic()
        await us.join([f"c{number}" for number in range(CHANNELS)])
        each = (server.memory - before) / CHANNELS
        connections = len(await redis.client_list()) - 1
    took = time.monotonic() - began
    print(f"{CHANNELS} channels with a stream each: {each:.1f} KiB, opened in {took:.1f} s")
    print(f"{connections} connections to Redis")


async def plain(server: Server, http: httpx.AsyncClient) -> float:
    """Microseconds of processor that a health check takes."""
    before = server.cpu
    for _ in range(1000):
        (await http.get("/healthz")).raise_for_status()
    return (server.cpu - before) / 1000 * 1e6


async def delay(us: Crowd, http: httpx.AsyncClient, begin: int) -> float:
    """Milliseconds below which 99 of 100 deliveries stay."""
    us.delays.clear()
    await post(http, 200)
    await us.until_at(begin + 200)
    found = sorted(us.delays)
    return found[len(found) * 99 // 100] * 1e3


async def post(http: httpx.AsyncClient, count: int, text: str = "") -> None:
    """One after the other, each with the time at which it was sent."""
    for _ in range(count):
        body = {"data": {"text": text, "sent": time.time()}}
        (await http.post(f"/channels/{CHANNEL}/messages", json=body)).raise_for_status()


def crowd_of(server: Server) -> AbstractAsyncContextManager[Crowd]:
    """Nobody yet, at this server."""
    return crowd(httpx.URL(server.url).port)
