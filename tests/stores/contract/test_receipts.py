"""Receipts: marks only go up, whoever writes how often, and all readers converge. (docs/protocol.md, 9.7)"""

from __future__ import annotations

import asyncio
import random
from collections import Counter

from gapless.log.cursor import Position
from gapless.log.receipts import MOST_BYTES, MOST_USERS, Marks, Receipt, parse_receipt
from gapless.log.store import Store
from tests.stores.contract.backend import Backend
from tests.stores.contract.conftest import Open
from tests.stores.contract.publications import NOW, Heard, publication
from tests.stores.contract.test_budget import cost
from tests.testkit.alarm import auntil

KEY = "gapless:{c}:receipts"
DAY = 86_400_000


def at(seq: int, epoch: str = "t9x2k0ab") -> Position:
    return Position(epoch, seq, "m4ez")


def receipt(user: str, delivered: Position | None = None, read: Position | None = None, now: int = NOW) -> Receipt:
    return Receipt("c", user, Marks(delivered, read), now)


async def test_marks_only_go_up(store: Store) -> None:
    assert await store.raise_marks(receipt("ann", at(5))) == (Marks(at(5), None), True)
    assert await store.raise_marks(receipt("ann", at(3), at(4))) == (Marks(at(5), at(4)), True)
    assert await store.raise_marks(receipt("ann", at(5), at(4))) == (Marks(at(5), at(4)), False)
    assert await store.raise_marks(receipt("ann", None, at(12))) == (Marks(at(12), at(12)), True), "read is delivered"
    assert await store.raise_marks(receipt("ann", at(9))) == (Marks(at(12), at(12)), False), "9 is below 12"
    assert await store.marks("c") == {"ann": Marks(at(12), at(12))}


async def test_a_later_epoch_replaces_and_an_older_one_is_ignored(store: Store) -> None:
    old, new = at(500), at(1, "t9x2k1aa")
    await store.raise_marks(receipt("ann", old, old))
    assert await store.raise_marks(receipt("ann", new)) == (Marks(new, old), True)
    assert await store.raise_marks(receipt("ann", at(501), at(499))) == (Marks(new, old), False)
    assert await store.raise_marks(receipt("ann", None, new)) == (Marks(new, new), True)


async def test_users_are_told_apart_whatever_they_are_called(store: Store) -> None:
    names = ["ann", "-", "a b", '"', "\\", "\u2028", "é" * 128, "t9x2k0ab-1-m4ez"]
    for seq, name in enumerate(names, 1):
        await store.raise_marks(receipt(name, at(seq)))
    assert await store.marks("c") == {name: Marks(at(seq), None) for seq, name in enumerate(names, 1)}


async def test_fifty_users_at_once_never_go_down_and_all_who_listen_converge(
    servers: Backend, open_store: Open
) -> None:
    """And each update costs four commands, two where nothing rises; a new user one more."""
    stores, dice, heards = [open_store() for _ in range(3)], random.Random(7), [Heard() for _ in range(3)]
    for store, heard in zip(stores, heards, strict=True):
        await store.subscribe("c", heard)
    users, rises = [f"user {number}" for number in range(50)], Counter[bool]()
    await stores[0].raise_marks(receipt(users[0], at(1)))  # so that the server knows the script

    async def climb(user: str) -> None:
        held = Marks()
        steps = [dice.randint(1, 200) for _ in range(4)]
        for step in steps:
            told, rose = await dice.choice(stores).raise_marks(receipt(user, at(step), at(dice.randint(1, step))))
            assert told.raised(held) == told, "never down"
            held = told
            rises[rose] += 1
        assert held.delivered == at(max(steps))

    async def all_climb() -> None:
        await asyncio.gather(*map(climb, users))

    spent = await cost(servers, all_climb())
    calls, rose = spent["evalsha"], spent["hset"]
    repeated = calls - rises.total()
    assert 0 <= repeated <= 5, "a call is repeated where its connection was lost, as a loaded machine may lose one"
    assert rises[True] <= rose <= rises[True] + repeated
    assert spent == {"evalsha": calls, "hmget": calls, "hset": rose, "publish": rose, "hlen": len(users[1:])}
    truth = await stores[0].marks("c")
    assert set(truth) == set(users)
    for heard in heards:
        await auntil(lambda heard=heard: converged(heard) == truth, "all marks were told")  # type: ignore[misc]


def converged(heard: Heard) -> dict[str, Marks]:
    """What a listener knows, having heard everything in its order; fails where a mark goes down."""
    known: dict[str, Marks] = {}
    for notice in heard.asides:
        found = parse_receipt(notice)
        assert found is not None
        user, marks = found
        if not user.startswith("user "):
            continue  # an earlier test's: from node to node of a cluster it may take its time
        assert marks.raised(known.get(user, Marks())) == marks, "told in the order in which they rose"
        known[user] = marks
    return known


async def test_it_costs_four_commands_and_two_where_nothing_rises(servers: Backend, store: Store) -> None:
    async def spent(one: Receipt) -> dict[str, int]:
        return dict(await cost(servers, store.raise_marks(one)))

    await store.raise_marks(receipt("ann", at(1)))
    await store.raise_marks(receipt("ann", at(2)))
    assert sum((await spent(receipt("ann", at(3)))).values()) == 4
    assert sum((await spent(receipt("ann", at(3)))).values()) == 2
    new = await spent(receipt("bob", at(1)))
    assert (sum(new.values()), new["hlen"]) == (5, 1)
    assert sum((await spent(receipt("ann", at(4), now=NOW + 1000))).values()) == 4
    later = await spent(receipt("ann", at(5), now=NOW + 3_600_000 // 24 + 1000))
    assert (sum(later.values()), later["pexpire"]) == (5, 1)
    assert sum((await cost(servers, store.marks("c"))).values()) == 1


async def test_they_expire_with_the_retention(servers: Backend, open_store: Open) -> None:
    store, server = open_store(retention=DAY // 1000), servers.keeper("c")
    for hour in (0, 1, 30):
        await store.raise_marks(receipt("ann", at(hour + 1), now=NOW + hour * DAY // 24))
        left = server.cli("PTTL", KEY)
        assert DAY - 1000 <= left <= DAY + DAY // 24


async def test_beyond_the_bound_the_oldest_give_way(servers: Backend, store: Store) -> None:
    """The longest names make 32 KiB long before there are 1,000 users; the shortest never do."""
    for number in range(100):
        await store.raise_marks(receipt("x" * 120 + f"{number:08}", at(7), at(7), NOW + number))
    kept = sorted(int(user[-8:]) for user in await store.marks("c"))
    assert kept == list(range(100 - len(kept), 100)), "the newest stay"
    size = sum(3 * 128 + 90 for _ in kept)
    assert MOST_BYTES * 3 // 4 < size <= MOST_BYTES + 1000
    assert len(kept) < MOST_USERS


async def test_deleting_the_channel_drops_them_for_no_command_more(servers: Backend, store: Store) -> None:
    await store.publish(publication("c"))
    await store.raise_marks(receipt("ann", at(1)))
    assert (await cost(servers, store.forget("c"))).total() == 2
    assert await store.marks("c") == {}


async def test_what_is_none_of_ours_is_left_out(servers: Backend, store: Store) -> None:
    await store.raise_marks(receipt("ann", at(1)))
    servers.keeper("c").cli("HSET", KEY, "bob", "hello", "eve", "- - x")
    assert await store.marks("c") == {"ann": Marks(at(1), None)}
    assert await store.raise_marks(receipt("bob", at(2))) == (Marks(at(2), None), True)
