"""A log is bounded in bytes as it is in messages, and the rate counts bytes beside messages: as cheaply as before."""

from __future__ import annotations

import random

import pytest

from gapless.log.entries import format_entry
from gapless.log.publication import Accepted, Limited, Outcome, Rate
from gapless.log.store import Store
from tests.stores.contract.backend import Backend
from tests.stores.contract.conftest import Open
from tests.stores.contract.publications import NOW, entries, publication
from tests.stores.contract.test_budget import counting

CAP = 64_000
STEP = CAP // 16
LOG = "gapless:{c}:log"


async def stored(store: Store) -> list[int]:
    """The sizes of the entries that are kept, oldest first."""
    return [len(format_entry(entry)) for entry in await store.tail("c", 1000)]


# All of a log is read again after each publish: where messages are small, so is the log.
@pytest.mark.parametrize(("largest", "cap"), [(100, CAP // 16), (750, CAP // 8), (7500, CAP // 4)])
async def test_at_most_so_many_bytes_are_kept_and_at_least_three_quarters(
    servers: Backend, open_store: Open, largest: int, cap: int
) -> None:
    """And so is all that was there before there were too many. What is kept is the log's end, and reads as before."""
    store, dice, written, accepted = open_store(cap=1000, page=1000, cap_bytes=cap), random.Random(7), 0, []
    while written < 2 * cap or len(accepted) < 10:
        sizes = [dice.randint(1, largest) for _ in range(dice.choice([1, 1, 1, 3]))]
        added = entries(await store.publish(publication("c", *("x" * size for size in sizes))))
        accepted += added
        new = sum(len(format_entry(entry)) for entry in added)
        written += new
        kept = await stored(store)
        assert sum(kept) <= max(cap, new)
        dropped = len(format_entry(accepted[-len(kept) - 1])) if len(kept) < len(accepted) else cap
        assert sum(kept) + dropped >= min(written, cap * 3 // 4), "no more was cut than had to be"
    log = await store.tail("c", 1000)
    assert log == accepted[-len(log) :]
    assert [entry.start for entry in log] == [entry.start for entry in accepted[-len(log) :]]
    assert sum(map(len, map(format_entry, log))) < written


async def test_the_newest_message_always_stays(servers: Backend, open_store: Open) -> None:
    store = open_store(cap_bytes=CAP)
    for _ in range(3):
        await store.publish(publication("c", "small"))
        (large,) = entries(await store.publish(publication("c", "x" * 2 * CAP)))
        assert await store.tail("c", 10) == [large]


async def test_a_batch_that_is_larger_than_the_log_may_be_leaves_its_end(servers: Backend, open_store: Open) -> None:
    store = open_store(cap_bytes=CAP)
    batch = entries(await store.publish(publication("c", *(["x" * 10_000] * 10))))
    assert await store.tail("c", 10) == list(batch[-4:])


async def test_a_log_that_an_older_version_has_begun_is_gone_on_with(servers: Backend, open_store: Open) -> None:
    """What it wrote says nothing of bytes, and goes first."""
    store, server = open_store(cap=1000, page=1000, cap_bytes=CAP), servers.keeper("c")
    old = entries(await store.publish(publication("c", *range(20))))
    server.cli("DEL", LOG)
    for entry in old:
        server.cli("RPUSH", LOG, format_entry(entry).replace(b" %d {" % entry.start, b" {"))
    assert await store.tail("c", 20) == list(old)
    (new,) = entries(await store.publish(publication("c")))
    assert new.follows(old[-1].position)
    for _ in range(70):
        await store.publish(publication("c", "x" * 1000))
    kept = await stored(store)
    assert CAP * 3 // 4 - 1100 <= sum(kept) <= CAP
    assert min(kept) > 1000


async def test_small_messages_pay_next_to_nothing_for_it(servers: Backend, open_store: Open) -> None:
    """One LINDEX in each sixteenth of what may be kept; some fifteen commands in each three when the log is full."""
    store = open_store(cap=100_000, cap_bytes=CAP)
    for _ in range(8):
        await store.publish(publication("c", *["x" * 100] * 100))
    with counting(servers) as counted:
        for _ in range(160):
            await store.publish(publication("c", "x" * 100))
    looks = 160 * 210 / STEP
    assert counted["ltrim"] >= 2, "the log was full"
    assert counted.total() - 4 * 160 <= looks + counted["ltrim"] * 12
    assert counted.total() / 160 <= 4.3


# --- the rate

BURST = 600_000
BYTES = Rate("ann", 1, BURST, byte_interval=0.1, byte_burst=10_000)
"""The store remembers it for the ten minutes that so many messages take: by its own clock, which must not come
between."""
OVERHEAD = len(b'{"event":"message","user":null,"data":"","localId":null}')


async def post(store: Store, size: int, now: int = 0) -> Outcome:
    """A message whose body is stored in so many bytes."""
    return await store.publish(publication("c", "x" * (size - OVERHEAD), now=NOW + now, rate=BYTES))


async def test_bytes_are_counted_beside_messages(servers: Backend, store: Store) -> None:
    assert [type(await post(store, 2500)) for _ in range(4)] == [Accepted] * 4
    assert await post(store, 1000) == Limited(100)
    assert await post(store, 2000) == Limited(200)
    assert await post(store, 1000, 99) == Limited(1)
    assert isinstance(await post(store, 1000, 100), Accepted)
    assert await post(store, 1000, 100) == Limited(100)
    many = publication("c", *[""] * 100, now=NOW + 150, rate=BYTES)
    assert await store.publish(many) == Limited(OVERHEAD * 10 - 50)


async def test_who_is_refused_for_his_bytes_pays_nothing(servers: Backend, store: Store) -> None:
    await post(store, 9000)
    assert [await post(store, 2000) for _ in range(5)] == [Limited(100)] * 5
    assert isinstance(await post(store, 1000), Accepted)


async def test_a_message_as_large_as_the_burst_passes(servers: Backend, store: Store) -> None:
    assert isinstance(await post(store, 10_000), Accepted)
    assert await post(store, 10_000) == Limited(1000)
    assert isinstance(await post(store, 10_000, 1000), Accepted)


async def test_messages_are_counted_as_before(servers: Backend, store: Store) -> None:
    rate = Rate("ann", 100_000, 5, byte_interval=0.1, byte_burst=10_000)
    outcomes = [await store.publish(publication("c", rate=rate)) for _ in range(6)]
    assert outcomes[-1] == Limited(100_000)


async def test_counting_bytes_costs_no_command_more(servers: Backend, store: Store) -> None:
    await post(store, 100)
    with counting(servers) as counted:
        await post(store, 100)
    assert counted.total() == 6


async def test_what_an_older_version_has_counted_goes_on(servers: Backend, store: Store) -> None:
    servers.keeper("c").cli("SET", "gapless:{c}:rate:ann", f"{NOW + BURST - 5}.000")
    assert isinstance(await store.publish(publication("c", *range(5), now=NOW, rate=BYTES)), Accepted)
    assert await store.publish(publication("c", *range(5), now=NOW, rate=BYTES)) == Limited(5)
