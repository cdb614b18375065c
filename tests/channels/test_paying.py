"""Whoever has something read pays for it; what is read for all is free."""

from __future__ import annotations

import asyncio

import pytest

from gapless.auth.rates import TRAFFIC_UNIT, Who
from gapless.channels.bounded import BoundedStore
from gapless.channels.feed_settings import FeedSettings
from gapless.channels.feeds import BEGUN, Capacity, Feeds, Visitor
from gapless.channels.paying import charge, paid_by
from gapless.log.store import SLICE, TAIL, Room
from tests.testkit.model_store import ModelStore

SETTINGS = FeedSettings(recheck=15, linger=0, retention=3600, page=10)


class Purse:
    """What one visitor has paid."""

    def __init__(self, user: str) -> None:
        self.paid = 0.0
        self.visitor = Visitor(Who(user, "192.0.2.1"), self.pay)

    def pay(self, commands: float) -> None:
        self.paid += commands


@pytest.mark.virtual_time
async def test_nobody_pays_where_nobody_is() -> None:
    charge(1)
    await BoundedStore(ModelStore()).tail("c", 1)


@pytest.mark.virtual_time
async def test_a_read_costs_its_commands_and_what_it_brings() -> None:
    store, purse = ModelStore(), Purse("ann")
    store.append("c", *[f'"{"x" * TRAFFIC_UNIT}"'] * 3)
    with paid_by(purse.pay):
        await BoundedStore(store).tail("c", 10)
        assert purse.paid == TAIL + 3
        await asyncio.create_task(BoundedStore(store).slice("c", 1, 2))
    charge(1)
    assert purse.paid == TAIL + 3 + SLICE + 2


async def test_the_inner_one_pays() -> None:
    ann, bob = Purse("ann"), Purse("bob")
    with paid_by(ann.pay):
        with paid_by(bob.pay):
            charge(1)
        charge(2)
    assert (ann.paid, bob.paid) == (2, 1)


@pytest.mark.virtual_time
async def test_the_first_who_asks_pays_and_a_warm_tail_is_free() -> None:
    store, ann, bob = ModelStore(), Purse("ann"), Purse("bob")
    entries = store.append("c", *map(str, range(30)))
    feeds = Feeds(store, SETTINGS, store.clock.now)
    async with feeds.open(["c"], ann.visitor) as [feed]:
        assert ann.paid == BEGUN
        await feed.ready()
        async with feeds.open(["c"], bob.visitor) as [same]:
            assert same is feed
            await feed.after(entries[-1].position, Room(100, 65_536))
            assert bob.paid == 0, "the feed was there, and its tail knew"
            await feed.after(entries[5].position, Room(100, 65_536))
            assert bob.paid > 0
        await asyncio.sleep(3600)
        assert ann.paid == BEGUN, "rechecks are for all"
    await feeds.close()


@pytest.mark.virtual_time
async def test_shares_are_given_back() -> None:
    store, ann, bob = ModelStore(), Purse("ann"), Purse("bob")
    feeds = Feeds(store, SETTINGS, store.clock.now, Capacity(1000, 1000, user=0.02, network=0.05))
    for _ in range(3):
        async with feeds.open([f"c{n}" for n in range(20)], ann.visitor):
            with pytest.raises(Exception, match="as one may"):
                async with feeds.open(["another"], ann.visitor):
                    pass
            async with feeds.open(["another"], bob.visitor):
                pass
    await feeds.close()
