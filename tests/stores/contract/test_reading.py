"""Tail and slice: contiguous, bounded, one read; what is none of ours is said to be corrupt and never passed on."""

from __future__ import annotations

import pytest

from gapless.log.entries import Entry, format_entry
from gapless.log.errors import CorruptLog, StoreUnavailable
from gapless.log.store import Slice, Store
from tests.stores.contract.backend import Backend
from tests.stores.contract.conftest import Open
from tests.stores.contract.publications import entries, message, publication

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
            wanted = tuple(entry for entry in log if low <= entry.position.seq <= high)
            for back in (False, True) if wanted else (False,):
                cut = await store.slice("c", low, high, back=back)
                assert cut == Slice(wanted, log[0].link, log[-1].link), (low, high, back)


def fitting(entries: list[Entry], most: int) -> list[Entry]:
    """As many of the first as fit, but one."""
    for number in range(2, len(entries) + 1):
        if sum(len(format_entry(entry)) + 160 for entry in entries[:number]) > most:
            return entries[: number - 1]
    return entries


async def sizes(store: Store, *widths: int) -> list[Entry]:
    """A message of each width."""
    return list(entries(await store.publish(publication("c", *("x" * width for width in widths)))))


WIDTHS = [
    (10,) * 40,
    (3000,) * 40,
    (3000, *(10,) * 38, 3000),
    (10, *(9000,) * 12, 10),
    (20_000, 10, 10, 20_000, 10, 10),
]


@pytest.mark.parametrize("widths", WIDTHS, ids=range(len(WIDTHS)))
async def test_what_is_read_is_bounded_in_bytes_and_fills_at_least_half(open_store: Open, widths: list[int]) -> None:
    store = open_store(cap=100, page=5)
    log = await sizes(store, *widths)
    last = len(log)
    for most in (1, 500, 4000, 10_000, 30_000, 10**6):
        for first in (1, 2, last // 2, last):
            ahead = (await store.slice("c", first, last, most=most)).entries
            wanted = fitting(log[first - 1 :], most)
            assert ahead == tuple(wanted[: len(ahead)])
            behind = (await store.slice("c", 1, first, most=most, back=True)).entries
            wanted_back = fitting(log[:first][::-1], most)
            assert behind == tuple(wanted_back[: len(behind)][::-1])
            for found, due in ((ahead, wanted), (behind, wanted_back)):
                size = sum(len(format_entry(entry)) + 160 for entry in found)
                assert len(found) == len(due) or (found and size * 2 >= most)
        for count in (1, 7, last, last + 1):
            assert await store.tail("c", count, most) == fitting(log[-count:][::-1], most)[::-1]


async def test_a_slice_that_must_join_a_place_brings_nothing_where_it_does_not(open_store: Open) -> None:
    store = open_store(cap=20, page=50)
    log = await fill(store, 47)
    first, last = log[0].position.seq, log[-1].position.seq
    ends = Slice((), log[0].link, log[-1].link)
    for at in (0, 1, len(log) // 2, len(log) - 2, len(log) - 1):
        entry = log[at]
        seq = entry.position.seq
        after = ends._replace(entries=tuple(log[at:]))
        upto = ends._replace(entries=tuple(log[:at]))
        assert await store.slice("c", seq, last, beside=entry.before) == after
        assert await store.slice("c", seq, last, beside=entry.before._replace(epoch="")) == after
        assert await store.slice("c", 1, seq - 1, beside=entry.position, back=True) == upto
        for other in (entry.before._replace(mark="zzzz"), entry.before._replace(epoch="00000000")):
            assert await store.slice("c", seq, last, beside=other) == ends
        for other in (entry.position._replace(mark="zzzz"), entry.position._replace(epoch="00000000")):
            assert await store.slice("c", 1, seq - 1, beside=other, back=True) == ends
    beyond = log[-1].position._replace(seq=last + 5)
    assert await store.slice("c", 1, last + 4, beside=beyond, back=True) == ends
    assert await store.slice("c", last + 6, last + 9, beside=beyond) == ends
    assert await store.slice("c", 1, last, beside=log[0].before._replace(seq=0, mark="0")) == ends, f"{first} is oldest"


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
