"""The rate is counted where the message is numbered: GCRA, against a bucket that leaks."""

from __future__ import annotations

import random
from fractions import Fraction
from math import ceil

import pytest

from gapless.api.schemas import Message
from gapless.log.publication import Accepted, KeyConflict, Limited, Outcome, Rate, Repeated
from gapless.log.store import Store
from tests.stores.contract.backend import Backend
from tests.stores.contract.conftest import Open
from tests.stores.contract.publications import NOW, Heard, entries, message, publication
from tests.testkit.alarm import auntil

LOG, KEYS = "gapless:{c}:log", "gapless:{c}:*"
RATE = Rate("ann", 100_000, 5)
"""One in 100 s, five at once. The store forgets an empty bucket by its own clock, which must not come between."""
LASTING = {"byte_interval": 1, "byte_burst": 600_000}
"""More bytes than are sent: for their sake the store remembers quicker rates, too, for ten minutes of its clock."""


async def post(store: Store, now: int = 0, size: int = 1, rate: Rate = RATE, channel: str = "c") -> Outcome:
    return await store.publish(publication(channel, *range(size), now=NOW + now, rate=rate))


class Bucket:
    """Holds `burst` messages and leaks one an interval: another way to say the same."""

    def __init__(self, rate: Rate) -> None:
        self.rate, self.level, self.then = rate, Fraction(0), 0

    def wait(self, now: int, size: int) -> int:
        """Milliseconds until so many fit; 0: they are in."""
        leaked = Fraction(now - self.then) / Fraction(self.rate.interval)
        self.level, self.then = max(Fraction(0), self.level - leaked), now
        over = self.level + size - self.rate.burst
        if over > 0:
            return ceil(over * Fraction(self.rate.interval))
        self.level += size
        return 0


QUICK = [Rate("ann", interval, burst, **LASTING) for interval, burst in ((7, 3), (1000 / 8, 1), (0.5, 40))]


@pytest.mark.parametrize("rate", [RATE, *QUICK])
async def test_it_lets_through_what_a_leaking_bucket_holds(servers: Backend, store: Store, rate: Rate) -> None:
    dice, bucket, now, outcomes = random.Random(7), Bucket(rate), 0, []
    for _ in range(40):
        now += dice.choice([0, 0, 1, 3, int(rate.interval), int(rate.interval * rate.burst * 2)])
        size = dice.randint(1, min(rate.burst, 9))
        outcomes.append(await post(store, now, size, rate))
        wait = bucket.wait(now, size)
        assert outcomes[-1] == Limited(wait) if wait else isinstance(outcomes[-1], Accepted)
    assert {type(outcome) for outcome in outcomes} == {Accepted, Limited}


async def test_a_burst_passes_at_once_and_then_one_an_interval(servers: Backend, store: Store) -> None:
    assert all([isinstance(await post(store), Accepted) for _ in range(5)])
    assert await post(store) == Limited(100_000)
    assert await post(store, 99_000) == Limited(1_000)
    assert isinstance(await post(store, 100_000), Accepted)
    assert await post(store, 100_000) == Limited(100_000)


async def test_a_third_of_a_message_is_not_lost_by_counting(servers: Backend, store: Store) -> None:
    rate = Rate("ann", 1000 / 3, 1, **LASTING)
    passed = [now for now in range(0, 4000, 50) if isinstance(await post(store, now, rate=rate), Accepted)]
    assert 11 <= len(passed) <= 13


async def test_a_batch_counts_as_many_as_it_holds(servers: Backend, store: Store) -> None:
    assert isinstance(await post(store, size=3), Accepted)
    assert await post(store, size=3) == Limited(100_000)
    assert isinstance(await post(store, size=2), Accepted)
    assert await post(store, size=5) == Limited(500_000)
    assert isinstance(await post(store, 500_000, size=5), Accepted)


async def test_who_is_refused_pays_nothing(servers: Backend, store: Store) -> None:
    await post(store, size=5)
    assert [await post(store, 50_000) for _ in range(20)] == [Limited(50_000)] * 20
    assert isinstance(await post(store, 100_000), Accepted)


async def test_what_is_refused_leaves_no_trace(servers: Backend, store: Store) -> None:
    heard = Heard()
    await store.subscribe("c", heard)
    await post(store, size=5)
    server = servers.keeper("c")
    before = sorted(server.cli("KEYS", KEYS)), server.cli("LLEN", LOG)
    refused = publication("c", message(1, "id", "ann"), rate=RATE)
    assert await store.publish(refused) == Limited(100_000)
    assert (sorted(server.cli("KEYS", KEYS)), server.cli("LLEN", LOG)) == before
    last = entries(await store.publish(publication("c")))
    await auntil(lambda: last[0].position in heard.positions, "the last was told")
    assert len(heard.positions) == 6


async def test_subjects_and_channels_are_counted_apart(servers: Backend, store: Store) -> None:
    await post(store, size=5)
    assert await post(store) == Limited(100_000)
    assert isinstance(await post(store, rate=Rate("bob", 100_000, 5)), Accepted)
    assert isinstance(await post(store, channel="d"), Accepted)
    assert await post(store) == Limited(100_000)


async def test_processes_count_together(servers: Backend, open_store: Open) -> None:
    stores = [open_store(), open_store()]
    outcomes = [await post(stores[turn % 2]) for turn in range(6)]
    assert [type(outcome) for outcome in outcomes] == [Accepted] * 5 + [Limited]


# --- a repetition is never refused


@pytest.mark.parametrize("key", [None, "k"])
async def test_a_repetition_is_never_refused(servers: Backend, store: Store, key: str | None) -> None:
    def sent() -> list[Message]:
        return [message("a", "x", "ann"), message("b", "y", "ann")]

    first = await store.publish(publication("c", *sent(), key=key, rate=RATE))
    await post(store, size=3)
    assert await post(store) == Limited(100_000)
    again = await store.publish(publication("c", *sent(), key=key, rate=RATE))
    assert isinstance(again, Repeated)
    assert again.ids == tuple(entry.position for entry in entries(first))
    assert isinstance(await post(store, 100_000), Accepted), "it cost nothing"


async def test_other_content_is_a_conflict_and_not_a_matter_of_time(servers: Backend, store: Store) -> None:
    await store.publish(publication("c", message("a", "x", "ann"), rate=RATE))
    await post(store, size=4)
    assert await store.publish(publication("c", message("b", "x", "ann"), rate=RATE)) == KeyConflict(1, 0)


async def test_a_repetition_in_part_is_limited_like_what_is_new(servers: Backend, store: Store) -> None:
    await store.publish(publication("c", message("a", "x", "ann"), rate=RATE))
    await post(store, size=4)
    parts = message("a", "x", "ann"), message("b", "y", "ann")
    assert isinstance(await store.publish(publication("c", *parts, rate=RATE)), Limited)


async def test_a_repetition_within_the_rate_costs_nothing(servers: Backend, store: Store) -> None:
    for _ in range(20):
        await store.publish(publication("c", message("a", "x", "ann"), rate=RATE))
    assert isinstance(await post(store, size=4), Accepted)
    assert await post(store) == Limited(100_000)


# --- clocks that disagree


async def test_a_clock_that_is_ahead_keeps_nobody_waiting_for_longer_than_a_burst(
    servers: Backend, store: Store
) -> None:
    await post(store, 3_600_000, size=5)
    assert await post(store) == Limited(100_000)
    assert await post(store, size=5) == Limited(500_000)


async def test_a_clock_that_is_behind_gains_no_more_than_a_burst(servers: Backend, store: Store) -> None:
    await post(store, size=5)
    assert await post(store, -3_600_000) == Limited(100_000)


async def test_what_was_counted_is_forgotten_when_it_no_longer_matters(servers: Backend, store: Store) -> None:
    await post(store)
    (key,) = servers.keeper("c").cli("KEYS", "gapless:{c}:rate:*")
    assert 500_000 < servers.keeper("c").cli("PTTL", key) <= 500_000 + 1000
