"""A store that never tells of anything: whenever a message is appended, it is there within the bound that is stated."""

from __future__ import annotations

import asyncio
import json
import random
from typing import Any

import pytest

from gapless.channels.feed_settings import FeedSettings
from gapless.channels.feeds import Feeds
from gapless.delivery.streaming import Start, Stream
from gapless.stores.redis.store import RedisStore
from gapless.stores.upstash.store import UpstashStore
from tests.model.reader import TERMS
from tests.testkit.clock import VirtualLoop
from tests.testkit.model_store import ModelStore

REPLICA = 2.0
"""Seconds by which a replica may be behind, where there are any."""
LATENCY = 0.005


class Late:
    """A reader that writes down how long after its time each message came."""

    def __init__(self, store: ModelStore) -> None:
        self._store = store
        self.delays: list[float] = []

    async def take(self, message: dict[str, Any]) -> None:
        for line in message["body"].decode().splitlines():
            if line.startswith('data: {"id"'):
                entry = self._store.made[json.loads(line.removeprefix("data: "))["id"]]
                self.delays.append(self._store.clock.now() - entry.time / 1000)


@pytest.mark.timeout(180)
@pytest.mark.parametrize("kind", [RedisStore, UpstashStore])
def test_no_message_is_later_than_the_recheck(kind: type[RedisStore | UpstashStore]) -> None:
    """And, where reads come from replicas, than the time by which these are behind."""
    with asyncio.Runner(loop_factory=VirtualLoop) as runner:
        delays = runner.run(_delays(kind.recheck, kind.lag))
    behind = REPLICA if kind.lag else 0.0
    assert len(delays) >= 200
    assert kind.recheck * 0.9 < max(delays) <= kind.recheck + behind + 2 * LATENCY


async def _delays(recheck: float, lag: float) -> list[float]:
    dice = random.Random(7)
    store = ModelStore(cap=1000, latency=LATENCY, notify=False, lag=REPLICA if lag else 0.0)
    feeds = Feeds(store, FeedSettings(recheck, 2, 86_400, store.page, lag=lag), store.clock.now)
    late = Late(store)
    async with feeds.open(["c"]) as opened:
        stream = Stream(opened, Start(), TERMS)
        task = asyncio.create_task(stream.run(late.take))  # type: ignore[arg-type]
        await asyncio.sleep(1)
        for _ in range(200):
            store.append("c", "1")
            await asyncio.sleep(dice.choice([0.1, 1, recheck / 7, recheck * dice.random() * 2]))
        await asyncio.sleep(2 * recheck)
        task.cancel()
        await asyncio.gather(task, return_exceptions=True)
        stream.abandon()
    await feeds.close()
    assert len(late.delays) == 200
    return late.delays
