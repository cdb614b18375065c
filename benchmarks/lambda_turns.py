"""AWS Lambda, buffered: from a POST to the reader that has the message, beside the POST's own answer in the same run.

The reader does as an EventSource: it waits in a turn, takes what comes, pauses for the `retry` it was told, comes back
with its last id. Messages come at random moments, also into the pause.
"""

from __future__ import annotations

import asyncio
import json
import random
import sys
import tempfile
import time
from pathlib import Path
from statistics import median

import httpx

from tests.testkit.event_stream import EventStreamParser
from tests.testkit.lambda_runtime import LambdaFront
from tests.testkit.lambda_runtime.package import package
from tests.testkit.upstash.process import EmulatorProcess
from tests.testkit.valkey import start_valkey

MESSAGES, EVERY = 100, 0.4
"""So many, at moments that are so many seconds apart on average."""
PATH = "/channels/bench"


def main() -> None:
    """Measure over TCP and over REST, and print each beside what a POST takes."""
    rows = {}
    with tempfile.TemporaryDirectory() as folder, start_valkey(Path(folder), port=None, unixsocket=False) as server:
        rows["TCP"] = asyncio.run(measure({"REDIS_URL": server.url}))
        with EmulatorProcess(server.url) as up:
            rest = {"UPSTASH_REDIS_REST_URL": up.url, "UPSTASH_REDIS_REST_TOKEN": up.token}
            rows["REST (emulator)"] = asyncio.run(measure(rest))
    print(f"{MESSAGES} messages, one reader, Python {sys.version.split()[0]}")
    print(f"{'':16}{'POST p50 ms':>12}{'delivery p50':>14}{'ratio':>8}{'p99 ms':>9}{'turns':>7}")
    for name, (posts, delays, turns) in rows.items():
        post, half, late = median(posts), median(delays), sorted(delays)[len(delays) * 99 // 100]
        print(f"{name:16}{post:12.1f}{half:14.1f}{half / post:8.2f}{late:9.1f}{turns:7}")


async def measure(store: dict[str, str]) -> tuple[list[float], list[float], int]:
    """Milliseconds of each POST and of each delivery, and how many turns it took; every message must arrive once."""
    env = store | {"GAPLESS_PUBLIC": "true"}
    front = LambdaFront("app.lambda_handler.handler", cwd=package().unpacked("api"), isolated=True, env=env)
    async with front, httpx.AsyncClient(base_url=front.url, timeout=40) as http:
        # Warm: one environment for the reader and one for the publisher, or cold starts would be what is measured.
        await asyncio.gather(*(http.get("/readyz") for _ in range(2)))
        in_place = asyncio.Event()
        reading = asyncio.create_task(read(http, in_place))
        await in_place.wait()
        posts = await publish(http)
        delays, turns = await reading
        assert len(delays) == MESSAGES and not front.stats.failures, front.stats.log
        assert front.stats.cold_starts == 2, "a cold start was measured"
    return posts, delays, turns


async def read(http: httpx.AsyncClient, in_place: asyncio.Event) -> tuple[list[float], int]:
    """An EventSource by hand: turn after turn until all have come."""
    cursor, turns = "", 0
    delays: list[float] = []
    while len(delays) < MESSAGES:
        reply = await http.get(f"{PATH}/stream", headers={"Last-Event-ID": cursor} if cursor else {})
        now, parser = time.time(), EventStreamParser(cursor)
        new = [event.data for event in parser.feed(reply.content) if event.type == "message"]
        delays += [(now - json.loads(data)["data"]) * 1e3 for data in new]
        cursor, turns = parser.last_event_id, turns + 1
        in_place.set()
        await asyncio.sleep((parser.retry or 0) / 1e3)
    return delays, turns


async def publish(http: httpx.AsyncClient) -> list[float]:
    """Messages that carry the time at which they were sent; how long each POST took."""
    dice, taken = random.Random(7), []
    for _ in range(MESSAGES):
        await asyncio.sleep(dice.expovariate(1 / EVERY))
        sent = time.time()
        reply = await http.post(f"{PATH}/messages", json={"data": sent})
        reply.raise_for_status()
        taken.append((time.time() - sent) * 1e3)
    return taken
