"""What Redis sends for each byte that is delivered, by its own counters: over TCP, and from Upstash (emulated).

Upstash writes replies as base64, a third more, which is not counted.
"""

from __future__ import annotations

import asyncio
import json
import sys
from collections.abc import Callable

import httpx
from redis import Redis

from benchmarks.server import Server, serving, valkey
from tests.testkit.upstash import EmulatorProcess

CHANNEL = "/channels/bench"
BACKLOG, LIVE = 60, 20
LARGE, ABOVE_NOTICES = "x" * 60_000, "x" * 70_000
ENV = {"GAPLESS_RATE": "0", "GAPLESS_STREAM_RATE": "0"}
Sent = Callable[[], int]


def main() -> None:
    """Each on a store of its own; a second server, which knows nothing yet, reads."""
    print(f"Python {sys.version.split()[0]}")
    print(f"{'':34}{'delivered':>12}{'from Redis':>12}{'ratio':>8}")
    with valkey() as url, Redis.from_url(url) as redis:
        run("TCP", {"REDIS_URL": url}, lambda: int(redis.info("stats")["total_net_output_bytes"]))
    with valkey() as url, EmulatorProcess(url) as up:
        run("Upstash", {"UPSTASH_REDIS_REST_URL": up.url, "UPSTASH_REDIS_REST_TOKEN": up.token}, up.sent)


def run(store: str, env: dict[str, str], sent: Sent) -> None:
    """All rows of one store."""
    with serving("gapless.asgi:app", ENV | env) as writer, serving("gapless.asgi:app", ENV | env) as reader:
        for name, measure in (("catching up", catch_up), ("limit=1", one_of_many), ("live, above 64 KiB", live)):
            delivered, read = asyncio.run(measure(writer, reader, sent))
            print(f"{store + ', ' + name:34}{delivered:12,}{read:12,}{read / delivered:8.2f}")


async def catch_up(writer: Server, reader: Server, sent: Sent) -> tuple[int, int]:
    """A stream resumes over all but the first of a backlog of 60 kB messages."""
    async with httpx.AsyncClient(timeout=60) as http:
        ids = [await post(http, writer, LARGE) for _ in range(BACKLOG)]
        before = sent()
        async with http.stream("GET", f"{reader.url}{CHANNEL}/stream", headers={"Last-Event-ID": ids[0]}) as stream:
            delivered = await take(stream, BACKLOG - 1)
        return delivered, sent() - before


async def one_of_many(writer: Server, reader: Server, sent: Sent) -> tuple[int, int]:
    """Ten pages of one message each, by a server that has the channel open."""
    async with httpx.AsyncClient(timeout=60) as http:
        page = (await http.get(f"{reader.url}{CHANNEL}/messages", params={"limit": 20})).json()
        before, delivered = sent(), 0
        for _ in range(10):
            query = {"after": page["oldest"], "limit": "1"}
            reply = await http.get(f"{reader.url}{CHANNEL}/messages", params=query)
            delivered += len(reply.content)
        return delivered, sent() - before


async def live(writer: Server, reader: Server, sent: Sent) -> tuple[int, int]:
    """Messages that no notice carries, to one stream on another server."""
    async with (
        httpx.AsyncClient(timeout=60) as http,
        http.stream("GET", f"{reader.url}{CHANNEL}/stream") as stream,
    ):
        chunks = stream.aiter_bytes()
        await anext(chunks)
        before = sent()
        for _ in range(LIVE):
            await post(http, writer, ABOVE_NOTICES)
        delivered = 0
        while delivered < LIVE * len(ABOVE_NOTICES):
            delivered += len(await anext(chunks))
        return delivered, sent() - before


async def post(http: httpx.AsyncClient, server: Server, data: str) -> str:
    """Its id."""
    reply = await http.post(f"{server.url}{CHANNEL}/messages", json={"data": data})
    reply.raise_for_status()
    return str(json.loads(reply.content)["id"])


async def take(stream: httpx.Response, count: int) -> int:
    """Bytes until so many messages have come."""
    body = bytearray()
    async for chunk in stream.aiter_bytes():
        body += chunk
        if body.count(b'\ndata: {"id":') >= count and body.endswith(b"\n\n"):
            break
    return len(body)
