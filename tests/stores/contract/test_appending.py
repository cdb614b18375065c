"""Check, number, append, trim: one atomic step. Seqs have no holes. At least `cap` stay, at most a quarter more."""

from __future__ import annotations

import asyncio
from itertools import pairwise

import pytest

from gapless.log.cursor import Position
from gapless.log.entries import Entry
from gapless.log.publication import Outcome
from gapless.log.store import Store
from tests.stores.contract.backend import Backend
from tests.stores.contract.conftest import Open
from tests.stores.contract.publications import NOW, entries, message, publication
from tests.testkit.alarm import auntil
from tests.testkit.strategies import LINE_ENDS

LOG = "gapless:{c}:log"


async def test_the_first_message_begins_the_proposed_epoch(store: Store) -> None:
    first = publication("c", "hello")
    (entry,) = entries(await store.publish(first))
    assert entry.position == Position(first.epoch, 1, first.marks[0])
    assert (entry.prev, entry.time, entry.body) == ("0", NOW, first.drafts[0].body)


async def test_a_proposed_epoch_is_used_only_where_there_is_no_log(store: Store) -> None:
    (one,) = entries(await store.publish(publication("c", now=NOW)))
    (two,) = entries(await store.publish(publication("c", now=NOW)))
    assert two.follows(one.position)


async def test_what_was_accepted_is_what_is_in_the_log(store: Store) -> None:
    accepted = [
        *entries(await store.publish(publication("c", 1))),
        *entries(await store.publish(publication("c", 2, 3))),
    ]
    assert await store.tail("c", 10) == accepted


TEXTS = ["", "é\U0001f600", LINE_ENDS, "\t\\t\0", "%d %s %%", '"}', "1 2 3 4 5 6", "?", "x" * 100_000]


async def test_no_text_is_changed_on_its_way(store: Store) -> None:
    for text in TEXTS:
        sent = publication("c", message(text), message({text: [text]}))
        assert [entry.body for entry in entries(await store.publish(sent))] == [draft.body for draft in sent.drafts]
        assert [entry.body for entry in await store.tail("c", 2)] == [draft.body for draft in sent.drafts]


async def test_a_batch_is_consecutive_and_a_chain(store: Store) -> None:
    before = entries(await store.publish(publication("c")))[0]
    batch = publication("c", *range(9))
    added = entries(await store.publish(batch))
    assert [entry.position.mark for entry in added] == list(batch.marks)
    assert [entry.body for entry in added] == [draft.body for draft in batch.drafts]
    assert all(later.follows(earlier.position) for earlier, later in pairwise([before, *added]))


async def test_eight_publishers_leave_no_hole(open_store: Open) -> None:
    stores = [open_store(cap=1000, page=1000) for _ in range(8)]

    async def publish(store: Store, size: int) -> list[tuple[Position, ...]]:
        outcomes = [await store.publish(publication("c", *range(1 + (n + size) % 3))) for n in range(10)]
        return [tuple(entry.position for entry in entries(outcome)) for outcome in outcomes]

    published = await asyncio.gather(*(publish(store, size) for size, store in enumerate(stores)))
    posts = [post for posts in published for post in posts]
    assert all(later.seq == earlier.seq + 1 for post in posts for earlier, later in pairwise(post))
    in_order = sorted((position for post in posts for position in post), key=lambda position: position.seq)
    assert [position.seq for position in in_order] == list(range(1, len(in_order) + 1))
    log = await stores[0].tail("c", 1000)
    assert [entry.position for entry in log] == in_order
    assert all(later.follows(earlier.position) for earlier, later in pairwise(log))


async def test_nobody_ever_sees_part_of_a_batch(open_store: Open) -> None:
    writer, reader = open_store(cap=1000), open_store(cap=1000)
    lengths: list[int] = []

    async def read_on(writing: asyncio.Task[list[Outcome]]) -> None:
        while not writing.done():
            cut = await reader.slice("c", 0, 0)
            lengths.append(cut.latest.position.seq if cut.latest else 0)

    async def write() -> list[Outcome]:
        return [await writer.publish(publication("c", *range(7))) for _ in range(20)]  # together they may be one write

    writing = asyncio.create_task(write())
    await read_on(writing)
    await writing
    assert len(set(lengths)) > 1, "nobody looked while it was written"
    assert not any(length % 7 for length in lengths)


async def test_channels_have_nothing_in_common(store: Store) -> None:
    for channel in ("a", "b", "a:b", "a.b", "A"):
        (entry,) = entries(await store.publish(publication(channel, channel)))
        assert entry.position.seq == 1
        assert await store.tail(channel, 10) == [entry]


# --- at least `cap` are kept, at most a quarter more


@pytest.mark.parametrize("cap", [20, 21, 100])
async def test_at_least_cap_are_kept_and_at_most_a_quarter_more(servers: Backend, open_store: Open, cap: int) -> None:
    store = open_store(cap=cap, page=1000)
    published: list[Entry] = []
    for size in [1] * 30 + [7, cap, 1, 3, cap - 1, 2, *range(1, 12)]:
        published += entries(await store.publish(publication("c", *range(size))))
        kept = await store.tail("c", 1000)
        assert kept == published[-len(kept) :]
        assert min(len(published), cap) <= len(kept) <= cap + cap // 4
        assert servers.keeper("c").cli("LLEN", LOG) == len(kept)
    assert len(kept) < len(published)


# --- a log that is gone begins a new epoch


async def test_a_wiped_log_begins_a_new_epoch(servers: Backend, store: Store) -> None:
    (old,) = entries(await store.publish(publication("c")))
    servers.keeper("c").cli("DEL", LOG)
    again = publication("c", now=NOW + 1000)
    (new,) = entries(await store.publish(again))
    assert (new.position, new.prev) == (Position(again.epoch, 1, again.marks[0]), "0")
    assert new.position.epoch > old.position.epoch


async def test_a_silent_log_expires_and_begins_a_new_epoch(servers: Backend, open_store: Open) -> None:
    store = open_store(retention=1)
    (old,) = entries(await store.publish(publication("c")))
    await auntil(lambda: not servers.keeper("c").cli("EXISTS", LOG), "the log expired", alarm=5)
    assert await store.tail("c", 10) == []
    (new,) = entries(await store.publish(publication("c", now=NOW + 2000)))
    assert new.position.seq == 1
    assert new.position.epoch > old.position.epoch


# --- each message lives for the retention, and the expiry is set only when it is due

DAY = 86_400_000
PART = DAY // 24
MARKER = 10 * DAY


@pytest.mark.parametrize(
    "steps",
    [
        [0] * 5,
        [PART - 1, 1, PART - 1, 1],
        [PART // 3] * 12,
        [PART, PART, PART],
        [1, PART * 5, 1, PART // 2, PART // 2 + 1],
        [-PART, PART, -5],
    ],
)
async def test_each_message_lives_for_the_retention_and_little_is_paid_for_it(
    servers: Backend, open_store: Open, steps: list[int]
) -> None:
    """The expiry is overwritten after each publish, so that a new one shows; a second for the test's own time."""
    store, server = open_store(retention=DAY // 1000), servers.keeper("c")
    now, expires, paid = NOW, 0, []
    for step in [0, *steps]:
        now += step
        await store.publish(publication("c", now=now))
        left: int = server.cli("PTTL", LOG)
        if left <= DAY + PART:
            expires = now + left
            paid.append(now)
        assert expires - now >= DAY - 1000
        assert server.cli("PEXPIRE", LOG, MARKER) == 1
    assert paid[0] == NOW
    assert all(later // PART != earlier // PART for earlier, later in pairwise(paid))


async def test_the_expiry_is_the_servers_own(servers: Backend, store: Store) -> None:
    """A service whose clock is wrong neither loses its logs at once nor keeps them for ever."""
    for now in (1_000_000, NOW, NOW + 10**12):
        await store.publish(publication("c", now=now))
        assert 3_600_000 <= servers.keeper("c").cli("PTTL", LOG) + 1000 <= 3_600_000 * 25 // 24 + 1001
