"""Feeds of one user begin a few at a time; others do not wait for them, and none waits for long."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from contextlib import AsyncExitStack

import pytest

from gapless.auth.rates import Who
from gapless.channels.feed import Feed
from gapless.channels.feed_settings import FeedSettings
from gapless.channels.feeds import Feeds, Visitor
from gapless.channels.turns import AT_ONCE, PATIENCE
from tests.testkit.model_store import ModelStore

SETTINGS = FeedSettings(recheck=15, linger=0, retention=3600, page=10)
LATENCY = 0.01
pytestmark = pytest.mark.virtual_time


class Watched(ModelStore):
    """Knows how many questions were under way together."""

    now = most = 0

    async def _reach(self, call: str) -> None:
        self.now += 1
        self.most = max(self.most, self.now)
        try:
            await super()._reach(call)
        finally:
            self.now -= 1


def visitor(user: str | None, network: str = "192.0.2.1") -> Visitor:
    return Visitor(Who(user, network), lambda _: None)


async def until_ready(feeds: Sequence[Feed]) -> float:
    """The seconds that it took."""
    loop = asyncio.get_running_loop()
    began = loop.time()
    await asyncio.gather(*(feed.ready() for feed in feeds))
    return loop.time() - began


@pytest.mark.parametrize("who", [visitor("mallory"), visitor(None)], ids=["user", "address"])
async def test_sixty_four_new_channels_are_begun_a_few_at_a_time(who: Visitor) -> None:
    store = Watched(latency=LATENCY)
    feeds = Feeds(store, SETTINGS, store.clock.now)
    async with AsyncExitStack() as streams:
        opened = []
        for stream in range(4):
            opened += await streams.enter_async_context(feeds.open([f"m.{stream}.{n}" for n in range(16)], who))
        await until_ready(opened)
        assert store.most == AT_ONCE
        assert store.calls["subscribe"] == store.calls["tail"] == 64
    await feeds.close()


async def test_another_user_does_not_wait_for_them() -> None:
    store = Watched(latency=LATENCY)
    feeds = Feeds(store, SETTINGS, store.clock.now)
    async with feeds.open([f"m.{n}" for n in range(64)], visitor("mallory")), feeds.open(["a"], visitor("ann")) as anns:
        assert await until_ready(anns) == pytest.approx(2 * LATENCY)
    await feeds.close()


async def test_our_own_readers_do_not_wait() -> None:
    store = Watched(latency=LATENCY)
    feeds = Feeds(store, SETTINGS, store.clock.now)
    async with feeds.open([f"m.{n}" for n in range(64)]) as opened:
        assert await until_ready(opened) == pytest.approx(2 * LATENCY)
    await feeds.close()


async def test_where_the_store_is_silent_nobody_waits_for_others_to_find_out() -> None:
    store = Watched(stuck=True)
    feeds = Feeds(store, SETTINGS, store.clock.now)
    async with feeds.open([f"m.{n}" for n in range(64)], visitor("mallory")):
        await asyncio.sleep(PATIENCE / 2)
        assert store.calls["subscribe"] == AT_ONCE
        await asyncio.sleep(PATIENCE)
        assert store.calls["subscribe"] == 64
    await feeds.close()


async def test_who_leaves_gives_up_the_turns() -> None:
    store = Watched(stuck=True)
    feeds = Feeds(store, SETTINGS, store.clock.now)
    async with feeds.open([f"m.{n}" for n in range(64)], visitor("mallory")):
        await asyncio.sleep(PATIENCE / 2)
    store.stuck = False
    async with feeds.open(["m.last"], visitor("mallory")) as last:
        assert await until_ready(last) == 0
    await feeds.close()
