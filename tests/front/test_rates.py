"""A hundred hammer one channel, on every store and at two services: each has its rate to itself, and nobody more."""

from __future__ import annotations

import asyncio
import contextlib
import time
from collections.abc import Iterator, Mapping, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from itertools import cycle
from pathlib import Path
from typing import Any

import pytest

from tests.testkit.cluster import start_cluster
from tests.testkit.forge import SECRET, Secret, claims_of
from tests.testkit.raw_http import Poster
from tests.testkit.service import Service
from tests.testkit.upstash import EmulatorProcess
from tests.testkit.valkey import Valkey

MESSAGES = "/channels/general/messages"
RATE, BURST, BATCH = 0.25, 20, 10
CLIENTS = {"upstash": 15, "cluster": 15, "tcp": 100}
"""A rate is counted by one script on every store; a hundred at once show that it is so under load."""


@dataclass
class Tally:
    """What one client got. By its own clock: when it `began` and `ended`, had its `first` reply, sent its `last`."""

    began: float
    first: float = 0
    last: float = 0
    ended: float = 0
    accepted: int = 0
    refused: int = 0

    @property
    def greedy(self) -> float:
        """By how much it has more than burst, rate and one message."""
        return self.accepted - (BURST + RATE * (self.ended - self.began) + 1)

    @property
    def fair(self) -> bool:
        """At least 95 % of what it could have had, and all but a part of a message; at most one more than that."""
        could = BURST + RATE * (self.last - self.first)
        return max(0.95 * could, could - 1) <= self.accepted and self.greedy <= 0


async def hammer(ports: Sequence[int], sub: str) -> Tally:
    """Post in batches until refused; then one by one, as soon as there should be one, until refused a second time."""
    poster, tally, turns, size = Poster(token(sub)), Tally(time.monotonic()), cycle(ports), BATCH
    try:
        while True:
            message = {"data": 1, "user": f"{sub} {tally.accepted}"}
            tally.last = time.monotonic()
            status, headers, body = await poster.post_surely(next(turns), MESSAGES, [message] * size)
            tally.ended = time.monotonic()
            tally.first = tally.first or tally.ended
            if status in (200, 201):
                tally.accepted += size
                assert tally.greedy <= 0, "more than its share"
                continue
            assert status == 429, body
            wait = told_to_wait(headers, body)
            if size == 1:
                tally.refused += 1
                if tally.refused == 2:
                    return tally
                await asyncio.sleep(wait)  # as it was told; whoever is late loses nothing
            size = 1
    finally:
        poster.close()


def told_to_wait(headers: Mapping[str, str], problem: dict[str, Any]) -> float:
    """Seconds; fails where a refusal does not say so in both ways."""
    assert headers["content-type"] == "application/problem+json"
    assert problem["retryAfterMs"] > 0
    assert int(headers["retry-after"]) == max(1, -(-problem["retryAfterMs"] // 1000))
    return float(problem["retryAfterMs"]) / 1000


@contextmanager
def two_processes(store: str, valkey: Valkey, folder: Path) -> Iterator[list[int]]:
    """The ports of two services on one store."""
    with ExitStack() as stack:
        env = {"REDIS_URL": valkey.url}
        if store == "upstash":
            up = stack.enter_context(EmulatorProcess(valkey.url))
            env = {"UPSTASH_REDIS_REST_URL": up.url, "UPSTASH_REDIS_REST_TOKEN": up.token}
        elif store == "cluster":
            env = {"REDIS_URL": stack.enter_context(start_cluster(folder)).url}
        env |= {"GAPLESS_JWT_SECRET": SECRET, "GAPLESS_RATE": str(RATE), "GAPLESS_BURST": str(BURST)}
        services = [stack.enter_context(Service(env)) for _ in range(2)]
        yield [service.port for service in services if service.port is not None]


def token(sub: str) -> str:
    return Secret().sign(claims_of(time.time(), sub=sub, exp=int(time.time()) + 300))


async def live_quietly(ports: Sequence[int], done: asyncio.Event) -> list[int]:
    """Somebody who posts now and then on the same channel, and no more than his burst."""
    poster, statuses = Poster(token("quiet")), list[int]()
    while not done.is_set() and len(statuses) < BURST:
        statuses.append((await poster.post_surely(ports[0], MESSAGES, {"data": 1}))[0])
        with contextlib.suppress(TimeoutError):
            async with asyncio.timeout(0.3):
                await done.wait()
    poster.close()
    return statuses


@pytest.mark.real(seconds=12)
@pytest.mark.parametrize("store", CLIENTS)
async def test_many_hammer_one_channel_and_each_has_its_share(valkey: Valkey, store: str, tmp_path: Path) -> None:
    with two_processes(store, valkey, tmp_path) as ports:
        done = asyncio.Event()
        quiet = asyncio.create_task(live_quietly(ports, done))
        tallies = await asyncio.gather(*(hammer(ports, f"client {number}") for number in range(CLIENTS[store])))
        done.set()
        assert set(await quiet) <= {200, 201}, "others on the channel are unharmed"
    assert [tally for tally in tallies if not tally.fair] == []
