"""Tail and slice: contiguous, bounded, one read; what is none of ours is said to be corrupt and never passed on."""

from __future__ import annotations

import pytest

from app.errors import CorruptLog, StoreUnavailable
from app.events import Entry, format_entry
from app.store import Slice, Store
from tests.stores.contract.backend import Backend
from tests.stores.contract.conftest import Open
from tests.stores.contract.press import entries, message, publication

LOG = "gapless:{c}:log"


async def fill(store: Store, count: int) -> list[Entry]:
    """So many entries, by batches; those that are kept."""
    made: list[Entry] = []
    while len(made) < count:
        made += entries(await store.publish(publication("c", *range(min(10, count - len(made))))))
    kept = await store.slice("c", 0, 0)
    assert kept.oldest is not None
    return made[kept.oldest.position.seq - 1 :]


# --- tail


async def test_the_tail_is_the_newest_oldest_first(open_store: Open) -> None:
    store = open_store(page=50)
    log = await fill(store, 12)
    for count in (1, 2, 11, 12, 13, 50):
        assert await store.tail("c", count) == log[-count:]


async def test_fewer_than_asked_means_there_are_no_more(open_store: Open) -> None:
    store = open_store(cap=20, page=50)
    log = await fill(store, 45)
    assert 20 <= len(log) <= 25
    assert await store.tail("c", 50) == log
    assert await store.tail("none", 50) == []


async def test_a_tail_is_at_most_a_page(open_store: Open) -> None:
    store = open_store(page=5)
    log = await fill(store, 12)
    assert await store.tail("c", 6) == log[-5:]
    assert await store.tail("c", 1000) == log[-5:]


async def test_who_asks_for_nothing_gets_nothing(store: Store) -> None:
    await fill(store, 3)
    assert await store.tail("c", 0) == []


# --- slice


async def test_a_slice_is_cut_by_number_and_tells_both_ends(open_store: Open) -> None:
    store = open_store(cap=20, page=50)
    log = await fill(store, 47)
    first, last = log[0].position.seq, log[-1].position.seq
    assert first > 1, "some were trimmed"
    bounds = [0, 1, first - 1, first, first + 1, last - 1, last, last + 1, 10**15 - 1]
    for low in bounds:
        for high in bounds:
            wanted = tuple(entry for entry in log if low <= entry.position.seq <= min(high, low + 49))
            assert await store.slice("c", low, high) == Slice(wanted, log[0], log[-1]), (low, high)


async def test_a_slice_is_at_most_a_page_from_its_first(open_store: Open) -> None:
    store = open_store(page=5)
    log = await fill(store, 12)
    assert (await store.slice("c", 3, 12)).entries == tuple(log[2:7])
    assert (await store.slice("c", 3, 10**15 - 1)).entries == tuple(log[2:7])
    assert (await store.slice("c", 10, 12)).entries == tuple(log[9:])


async def test_where_there_is_no_log_a_slice_has_no_ends(store: Store) -> None:
    for low, high in ((0, 0), (1, 5), (7, 3)):
        assert await store.slice("c", low, high) == Slice((), None, None)


# --- what somebody else wrote under our keys


async def test_another_type_under_our_key_is_a_corrupt_log(servers: Backend, store: Store) -> None:
    servers.keeper("c").cli("SET", LOG, "mine")
    for call in (store.tail("c", 1), store.slice("c", 1, 2), store.publish(publication("c"))):
        with pytest.raises(CorruptLog):
            await call
    assert servers.keeper("c").cli("GET", LOG) == "mine"


GARBAGE = [
    "",
    "hello",
    "a b c d e f",
    "t9x2k0ab 1 7qd1 0 5",
    "t9x2k0ab x 7qd1 0 5 {}",
    "t9x2k0ab 1 7qd1 0 5 {}\n\ndata: x",
]


@pytest.mark.parametrize("garbage", GARBAGE, ids=range(len(GARBAGE)))
async def test_garbage_is_a_corrupt_log_and_nothing_is_added_to_it(
    servers: Backend, store: Store, garbage: str
) -> None:
    servers.keeper("c").cli("RPUSH", LOG, garbage)
    for call in (store.tail("c", 1), store.slice("c", 1, 2)):
        with pytest.raises(CorruptLog):
            await call


@pytest.mark.parametrize("garbage", GARBAGE[:5], ids=range(5))
async def test_after_garbage_nothing_is_numbered(servers: Backend, store: Store, garbage: str) -> None:
    server = servers.keeper("c")
    server.cli("RPUSH", LOG, garbage)
    for ids in ((None,), ("a",), ("a", "b")):
        with pytest.raises(CorruptLog):
            await store.publish(publication("c", *(message(1, one) for one in ids)))
    assert server.cli("LRANGE", LOG, 0, -1) == [garbage]
    assert server.cli("KEYS", "gapless:{c}:*") == [LOG], "no key is remembered either"


async def test_a_log_with_a_hole_is_never_served_as_whole(servers: Backend, open_store: Open) -> None:
    store = open_store()
    log = await fill(store, 9)
    server = servers.keeper("c")
    server.cli("LREM", LOG, 1, format_entry(log[4]))
    assert server.cli("LLEN", LOG) == 8
    for call in (store.tail("c", 9), store.slice("c", 1, 9)):
        with pytest.raises(CorruptLog):
            await call
    assert await store.tail("c", 4) == log[-4:]


async def test_a_log_whose_past_was_rewritten_is_never_served_as_whole(servers: Backend, store: Store) -> None:
    log = await fill(store, 9)
    other = Entry(log[4].position._replace(mark="zzzz"), log[4].prev, 1, log[4].body)
    servers.keeper("c").cli("LSET", LOG, 4, format_entry(other))
    for call in (store.tail("c", 9), store.slice("c", 1, 9)):
        with pytest.raises(CorruptLog):
            await call


async def test_one_corrupt_channel_is_nobody_elses_trouble(servers: Backend, store: Store) -> None:
    servers.keeper("c").cli("SET", LOG, "mine")
    for _ in range(40):
        with pytest.raises(StoreUnavailable):
            await store.tail("c", 1)
    assert entries(await store.publish(publication("d")))
    await store.ping()
