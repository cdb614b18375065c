"""Leases: read, extended and ended in one script, in the store's own time. (docs/protocol.md, 9.8)"""

from __future__ import annotations

from gapless.log.presence import MOST_USERS, Attendance, parse_notice
from gapless.log.store import Store
from tests.stores.contract.backend import Backend
from tests.stores.contract.conftest import Open
from tests.stores.contract.publications import Heard, calm, publication
from tests.stores.contract.test_budget import cost
from tests.testkit.alarm import auntil
from tests.testkit.valkey import Counted

KEY = "gapless:{c}:presence"
LEASE, RENEW = 200_000, 60_000


def come(*users: str, below: int = RENEW, lease: int = LEASE) -> Attendance:
    return Attendance("c", lease, users, below)


def go(**believed: int | None) -> Attendance:
    return Attendance("c", LEASE, leavers=believed)


READ = Attendance("c", LEASE)


async def test_who_comes_is_there_until_his_lease_ends(store: Store) -> None:
    first = await store.attend(come("ann", "bob"))
    assert first.ends == dict.fromkeys(("ann", "bob"), first.now + LEASE)
    assert first.count == 2
    again = await store.attend(READ)
    assert again.ends == first.ends, "to read extends nothing"


async def test_a_lease_ends_by_itself(servers: Backend, store: Store) -> None:
    await store.attend(come("ann", lease=1))
    await store.attend(come("bob"))
    await auntil(lambda: _only(store, "bob"), "her lease has ended")


async def _later(store: Store, than: int) -> bool:
    return (await store.attend(READ)).now > than


async def _only(store: Store, user: str) -> bool:
    return list((await store.attend(READ)).ends) == [user]


async def test_only_what_would_end_too_early_is_extended(servers: Backend, store: Store) -> None:
    first = await store.attend(come("ann"))
    await auntil(lambda: _later(store, first.now), "the store's clock has gone on")
    moved = await store.attend(come("ann"))
    assert moved.ends == first.ends, "it lasts to the next renewal: a move writes nothing"
    renewed = await store.attend(come("ann", below=LEASE))
    assert renewed.ends["ann"] == renewed.now + LEASE > first.ends["ann"]


async def test_who_goes_is_taken_off_if_nobody_has_extended_his_lease(store: Store) -> None:
    first = await store.attend(come("ann", "bob", "eve"))
    left = await store.attend(go(ann=first.ends["ann"], bob=first.ends["bob"] - 1, eve=None, nobody=1))
    assert list(left.ends) == ["bob"]
    assert left.count == 1


async def test_who_listens_is_told_of_changes_alone(servers: Backend, open_store: Open) -> None:
    here, there, heard = open_store(), open_store(), Heard()
    await here.subscribe("c", heard)
    await calm(servers, heard)
    for asked in (come("ann", "é b"), come("ann", "bob"), come("ann", below=LEASE), READ, go(ann=None, nobody=None)):
        await there.attend(asked)
    await auntil(lambda: len(heard.asides) >= 3, "three changes")
    assert [parse_notice(notice) for notice in heard.asides] == [
        (["ann", "é b"], []), (["bob"], []), ([], ["ann"]),
    ]  # fmt: skip
    assert heard.told == []


async def test_what_each_costs(servers: Backend, store: Store) -> None:
    async def spent(asked: Attendance) -> Counted:
        return await cost(servers, store.attend(asked))

    users = [f"user {number}" for number in range(500)]
    await store.attend(come(*users))
    assert (await spent(READ)).total() == 3
    assert (await spent(come(*users, below=LEASE))).total() == 4, "however many they are"
    assert (await spent(come("ann"))).total() == 6
    assert (await spent(come("ann"))).total() == 3, "a move"
    assert (await spent(go(ann=None))).total() == 5
    tidy = await spent(Attendance("c", LEASE, ("bob",), LEASE, tidy=True))
    assert tidy["zremrangebyscore"] == 1


async def test_beyond_a_thousand_only_their_number_is_told(servers: Backend, store: Store) -> None:
    users = [f"user {number}" for number in range(MOST_USERS + 1)]
    for at in range(0, len(users), 500):
        living = await store.attend(come(*users[at : at + 500]))
    assert (living.count, len(living.ends)) == (MOST_USERS + 1, MOST_USERS)
    living = await store.attend(come(users[0], below=LEASE))
    assert living.count == MOST_USERS + 1, "who is there already does not come again"
    living = await store.attend(go(**{users[1]: None}))
    assert living.count == MOST_USERS
    assert len((await store.attend(READ)).ends) == MOST_USERS


async def test_a_hundred_thousand_bytes_of_names_are_told_as_something_to_read(
    servers: Backend, open_store: Open
) -> None:
    here, heard = open_store(), Heard()
    await here.subscribe("c", heard)
    await calm(servers, heard)
    await here.attend(come(*("x" * 120 + f"{number:06}" for number in range(900))))
    await auntil(lambda: heard.asides == [b"!p"], "the hint")


async def test_nothing_stays_for_ever_and_a_deleted_channel_has_nobody(servers: Backend, store: Store) -> None:
    await store.attend(come("ann"))
    assert LEASE < servers.keeper("c").cli("PTTL", KEY) <= LEASE * 36
    await store.publish(publication("c"))
    assert (await cost(servers, store.forget("c"))).total() == 2
    assert (await store.attend(READ)).ends == {}
