"""One publisher after another: requests a second and Redis commands a message, beside the same work without Gapless."""

from __future__ import annotations

import asyncio
import sys
import time

import httpx
from redis.asyncio import Redis

from benchmarks.server import serving, valkey

CLIENTS, SECONDS = 8, 5.0


def main() -> None:
    """Measure publishing, with and without a localId, beside a health check of the same server (no Redis at all)."""
    with valkey() as url, serving("gapless.asgi:app", {"REDIS_URL": url, "GAPLESS_RATE": "0"}) as server:
        rows = {
            "health check": asyncio.run(measure(server.url, url, None)),
            "publish": asyncio.run(measure(server.url, url, {})),
            "with localId": asyncio.run(measure(server.url, url, {"localId": True})),
        }
    base = rows["health check"][0]
    print(f"{CLIENTS} clients, Python {sys.version.split()[0]}")
    print(f"{'':16}{'requests/s':>12}{'ratio':>8}{'commands each':>15}")
    for name, (rate, commands) in rows.items():
        print(f"{name:16}{rate:12.0f}{rate / base:8.2f}{commands:15.2f}")


async def measure(server: str, redis_url: str, message: dict[str, bool] | None) -> tuple[float, float]:
    """Requests a second, and Redis commands a request, inner ones included."""
    redis = Redis.from_url(redis_url)
    before, done = await commands(redis), 0

    async def client(number: int) -> int:
        sent, until = 0, time.monotonic() + SECONDS
        async with httpx.AsyncClient(base_url=server) as http:
            while time.monotonic() < until:
                if message is None:
                    reply = await http.get("/healthz")
                else:
                    body = {"data": sent} | ({"localId": f"{number}-{sent}-{until}"} if message else {})
                    reply = await http.post(f"/channels/c{number}/messages", json=body)
                reply.raise_for_status()
                sent += 1
        return sent

    done = sum(await asyncio.gather(*(client(number) for number in range(CLIENTS))))
    after = await commands(redis)
    await redis.aclose()
    return done / SECONDS, (after - before) / done


async def commands(redis: Redis) -> int:
    """All calls so far, but for those that ask."""
    stats = await redis.info("commandstats")
    return sum(
        int(one["calls"]) for name, one in stats.items() if name not in ("cmdstat_info", "cmdstat_client|setinfo")
    )
