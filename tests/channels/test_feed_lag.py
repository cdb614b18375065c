"""Reads that are answered by a replica some seconds behind, on virtual time: delay, never a false `reset`."""

from __future__ import annotations

import pytest

from gapless.channels.feed import Feed
from gapless.log.store import Store
from tests.channels.test_feed import SETTINGS, Ear
from tests.testkit.clock import advance
from tests.testkit.model_store import ModelStore

pytestmark = pytest.mark.virtual_time

LAG = 2.0
"""Seconds by which the replica is behind; below the three after which history is taken for rewritten."""


async def open_feed(store: Store, clock_of: ModelStore, **settings: float) -> Feed:
    feed = Feed("c", store, SETTINGS._replace(**settings), clock_of.clock.now)
    await feed.ready()
    return feed


async def test_steady_messages_over_a_replica_that_is_always_behind_cause_no_reset() -> None:
    """Every read ends before the tail does, for far longer than a rewritten history is waited for."""
    store = ModelStore(lag=LAG)
    store.append("c", "0")
    await advance(LAG + 1)
    feed = await open_feed(store, store)
    ear = Ear(feed)
    for number in range(200):
        store.append("c", str(number))
        if number % 20 == 0:
            feed.doubt()
        await advance(0.1)
    assert store.calls["tail"] > 20, "it read all the time"
    assert ear.gaps == []
    assert ear.got == list(range(2, 202))
    await feed.close()


async def test_what_a_replica_lost_is_a_reset_all_the_same() -> None:
    store = ModelStore(lag=LAG)
    store.append("c", *map(str, range(10)))
    await advance(LAG + 1)
    feed = await open_feed(store, store)
    ear = Ear(feed)
    store.append("c", "10")
    store.forget_last("c", 5)
    await advance(30)
    assert [gap.reason.value for gap in ear.gaps] == ["reset"]
    assert feed.head.seq == 6
    await feed.close()


async def test_a_feed_opened_over_a_replica_that_is_behind_looks_again() -> None:
    """Written before it subscribed, read before the replica had it: no notice will ever tell."""
    store = ModelStore(lag=LAG)
    store.append("c", "0")
    await advance(LAG + 1)
    store.append("c", "1", "2")
    feed = await open_feed(store, store, lag=3.0)
    assert feed.head.seq == 1
    ear = Ear(feed)
    await advance(3.1)
    assert ear.got == [2, 3]
    assert store.calls["tail"] == 3, "the first, a glance at the newest, and the two that it lacked"
    assert not store.calls["suspect"]
    await advance(10)
    assert store.calls["tail"] == 3, "only once"
    await feed.close()


async def test_a_feed_that_hears_again_looks_again_too() -> None:
    store = ModelStore(lag=LAG)
    store.append("c", "0")
    await advance(LAG + 1)
    feed = await open_feed(store, store, lag=3.0)
    await advance(5)
    ear = Ear(feed)
    store.each_ear("c", lambda listener: listener.lost())
    store.notify = False
    store.append("c", "1")
    store.each_ear("c", lambda listener: listener.heard())
    await advance(3.1)
    assert ear.got == [2]
    await feed.close()


async def test_over_one_server_nothing_is_read_twice() -> None:
    store = ModelStore()
    store.append("c", "0")
    feed = await open_feed(store, store)
    await advance(10)
    assert store.calls["tail"] == 1
    await feed.close()
