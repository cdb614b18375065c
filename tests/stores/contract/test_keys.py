"""A repeated localId appends nothing and returns the first id, also when the reply was lost."""

from __future__ import annotations

import asyncio

import pytest

from gapless.api.schemas import Message
from gapless.log.cursor import new_epoch
from gapless.log.entries import parse_entry
from gapless.log.errors import StoreUnavailable
from gapless.log.publication import KEY_LIFETIME_MS, Accepted, KeyConflict, Limited, Publication, Rate, Repeated
from gapless.log.store import Store
from tests.stores.contract.backend import Backend, Keep, Losses
from tests.stores.contract.publications import NOW, Heard, entries, message, publication
from tests.testkit.alarm import auntil

LOG = "gapless:{c}:log"


def keys(servers: Backend) -> list[str]:
    found: list[str] = servers.keeper("c").cli("KEYS", "gapless:{c}:key:*")
    return found


def batch(*ids: str | None, key: str | None = None, data: int = 1) -> Publication:
    return publication("c", *(message(data + i, local_id) for i, local_id in enumerate(ids)), key=key)


async def accept(store: Store, one: Publication) -> Repeated:
    """Publish, and say what each repetition shall be told."""
    return Repeated(tuple(entry.position for entry in entries(await store.publish(one))), one.now)


# --- one message


async def test_the_same_again_appends_nothing_and_is_told_the_first_id(servers: Backend, store: Store) -> None:
    first = await accept(store, publication("c", message("a", "id", "ann")))
    await store.publish(publication("c"))
    for later in (0, 1000, KEY_LIFETIME_MS):
        assert await store.publish(publication("c", message("a", "id", "ann"), now=NOW + later)) == first
    assert servers.keeper("c").cli("LLEN", LOG) == 2


async def test_other_content_under_the_same_id_is_a_conflict(servers: Backend, store: Store) -> None:
    first = await accept(store, publication("c", message("a", "id")))
    others = [message("b", "id"), Message(data="a", event="other", localId="id")]
    for other in others:
        assert await store.publish(publication("c", other)) == KeyConflict(1, 0)
    assert servers.keeper("c").cli("LLEN", LOG) == 1
    assert await store.publish(publication("c", message("a", "id"))) == first


@pytest.mark.parametrize("other", [("c", "id", "bob"), ("c", "id", None), ("c", "di", "ann"), ("d", "id", "ann")])
async def test_channel_user_and_id_make_the_key(
    servers: Backend, store: Store, other: tuple[str, str, str | None]
) -> None:
    await accept(store, publication("c", message("a", "id", "ann")))
    channel, local_id, user = other
    assert entries(await store.publish(publication(channel, message("a", local_id, user))))


async def test_without_an_id_the_same_is_said_twice(servers: Backend, store: Store) -> None:
    assert entries(await store.publish(publication("c", "a")))
    assert entries(await store.publish(publication("c", "a")))
    assert keys(servers) == []


async def test_of_eight_at_once_one_is_appended(servers: Backend, store: Store) -> None:
    same = [publication("c", message("a", "id")) for _ in range(8)]
    outcomes = await asyncio.gather(*map(store.publish, same))
    (accepted,) = [outcome for outcome in outcomes if isinstance(outcome, Accepted)]
    first = tuple(entry.position for entry in accepted.entries)
    assert [outcome.ids for outcome in outcomes if isinstance(outcome, Repeated)] == [first] * 7
    assert servers.keeper("c").cli("LLEN", LOG) == 1


async def test_a_key_is_remembered_for_ten_minutes_and_then_forgotten(servers: Backend, store: Store) -> None:
    await accept(store, publication("c", message("a", "id")))
    await store.publish(publication("c", message("a", "id")))
    (key,) = keys(servers)
    assert KEY_LIFETIME_MS - 10_000 < servers.keeper("c").cli("PTTL", key) <= KEY_LIFETIME_MS == 600_000
    servers.keeper("c").cli("PEXPIRE", key, 1)
    await auntil(lambda: not keys(servers), "the key expired")
    assert entries(await store.publish(publication("c", message("a", "id"))))


async def test_what_was_refused_is_not_remembered(servers: Backend, store: Store) -> None:
    await accept(store, publication("c", message("a", "id")))
    assert isinstance(await store.publish(batch("id", "new", data=7)), KeyConflict)
    assert len(keys(servers)) == 1
    assert entries(await store.publish(publication("c", message("a", "new"))))


async def test_a_repetition_is_told_to_nobody(servers: Backend, store: Store) -> None:
    heard = Heard()
    await store.subscribe("c", heard)
    first = await accept(store, publication("c", message("a", "id")))
    await store.publish(publication("c", message("a", "id")))
    last = await accept(store, publication("c"))
    await auntil(lambda: len(heard.positions) >= 2, "both were told")
    assert heard.positions == [*first.ids, *last.ids]


@pytest.mark.parametrize("how", ["deleted", "evicted or expired"])
@pytest.mark.parametrize("one", [batch("id"), batch("a", "b"), batch(None, None, key="k"), batch("a", None, key="k")])
@pytest.mark.parametrize("anew", [False, True], ids=["nothing since", "begun anew"])
async def test_a_key_counts_for_nothing_once_its_log_is_gone(
    servers: Backend, store: Store, how: str, one: Publication, anew: bool
) -> None:
    await store.publish(publication("c"))
    first = await accept(store, one)
    assert await store.publish(one) == first
    if how == "deleted":
        await store.forget("c")
    else:
        servers.keeper("c").cli("DEL", LOG)
    if anew:
        await store.publish(publication("c", 1, 2, 3, now=NOW + 5000))
    again = one.again()._replace(epoch=new_epoch(NOW / 1000 + 9, "zz"))
    second = await accept(store, again)
    assert second.ids != first.ids
    assert await store.publish(again) == second, "the new place is remembered"


async def test_what_was_trimmed_away_is_still_known(servers: Backend, store: Store) -> None:
    first = await accept(store, publication("c", message("a", "id")))
    for _ in range(4):
        await store.publish(publication("c", *range(10)))
    assert first.ids[0] not in [entry.position for entry in await store.tail("c", 50)]
    assert await store.publish(publication("c", message("a", "id"))) == first


async def test_over_the_rate_a_key_whose_log_is_gone_is_no_way_in(servers: Backend, store: Store) -> None:
    rate = Rate("ann", 60_000, 1)
    await accept(store, publication("c", message("a", "id"), rate=rate))
    servers.keeper("c").cli("DEL", LOG)
    assert isinstance(await store.publish(publication("c", message("a", "id"), rate=rate)), Limited)
    assert servers.keeper("c").cli("EXISTS", LOG) == 0


# --- batches


@pytest.mark.parametrize("ids", [(None, None), ("a", "b"), ("a", None, "c"), ("k", None)])
async def test_a_batch_under_a_key_is_repeated_whole(
    servers: Backend, store: Store, ids: tuple[str | None, ...]
) -> None:
    await store.publish(publication("c"))
    first = await accept(store, batch(*ids, key="k"))
    assert await store.publish(batch(*ids, key="k")) == first
    assert len(first.ids) == len(ids)
    assert servers.keeper("c").cli("LLEN", LOG) == 1 + len(ids)


async def test_a_batch_of_messages_with_ids_is_repeated_whole(servers: Backend, store: Store) -> None:
    first = await accept(store, batch("a", "b", "c"))
    assert await store.publish(batch("a", "b", "c")) == first


async def test_messages_sent_one_by_one_are_known_in_a_batch(servers: Backend, store: Store) -> None:
    singles = [await accept(store, publication("c", message(1 + i, name))) for i, name in enumerate("ab")]
    again = await store.publish(batch("a", "b"))
    assert isinstance(again, Repeated)
    assert again.ids == singles[0].ids + singles[1].ids


CONFLICTS = {
    "part of a batch": (batch("a", "b"), batch("a", "b", "c"), KeyConflict(2, 2)),
    "part of a batch under a key of its own": (batch("a"), batch("a", "b", key="k"), KeyConflict(1, 1)),
    "one of other content": (batch("a", "b"), batch("a", "b", data=2), KeyConflict(2, 0)),
    "the batch's key for other messages": (
        batch(None, None, key="k"),
        batch(None, None, key="k", data=2),
        KeyConflict(1, 0),
    ),
    "the batch's key for fewer messages": (batch(None, None, key="k"), batch(None, key="k"), KeyConflict(1, 0)),
    "another key for the same messages": (batch("a", "b", key="k"), batch("a", "b", key="l"), KeyConflict(2, 2)),
    "nobody knows whether the one without an id was sent": (batch("a", None), batch("a", None), KeyConflict(1, 1)),
}


@pytest.mark.parametrize("name", CONFLICTS)
async def test_what_was_sent_in_part_is_a_conflict(servers: Backend, store: Store, name: str) -> None:
    sent, again, conflict = CONFLICTS[name]
    await accept(store, sent)
    before = servers.keeper("c").cli("LLEN", LOG), sorted(keys(servers))
    assert await store.publish(again) == conflict
    assert (servers.keeper("c").cli("LLEN", LOG), sorted(keys(servers))) == before


async def test_the_key_of_a_batch_is_no_localid(servers: Backend, store: Store) -> None:
    await accept(store, publication("c", message(1, "k")))
    await accept(store, batch(None, None, key="k"))
    assert await store.publish(batch(None, None, key="k", data=9)) == KeyConflict(1, 0)


# --- lost replies


@pytest.mark.parametrize("one", [batch("id"), batch("a", "b"), batch(None, None, key="k"), batch("a", None, key="k")])
async def test_a_lost_reply_to_messages_with_keys_costs_nothing(
    servers: Backend, store: Store, one: Publication
) -> None:
    await store.publish(publication("c"))
    losses = Losses()
    async with servers.lossy(losses) as way:
        caller = way.open(Keep())
        await caller.publish(publication("c"))
        losses.due = 1
        again = await caller.publish(one)
        await caller.close()
    assert losses.lost == 1
    assert isinstance(again, Repeated)
    assert one.owns(again.ids), "it can be told from a repetition of another's"
    assert [position.seq for position in again.ids] == list(range(3, 3 + len(one.drafts)))
    assert servers.keeper("c").cli("LLEN", LOG) == 2 + len(one.drafts)


@pytest.mark.usefixtures("store")
async def test_what_was_written_and_is_gone_is_written_again_under_other_ids(servers: Backend) -> None:
    """As after a failover. Under the same id it would hide what the new log holds before it from whoever saw it."""
    keeper, lines, one = servers.keeper("c"), list[str](), batch("a", "b")

    def wipe() -> None:
        lines.extend(keeper.cli("LRANGE", LOG, 1, -1))
        keeper.flush()

    losses = Losses(wipe)
    async with servers.lossy(losses) as way:
        caller = way.open(Keep())
        await caller.publish(publication("c"))
        losses.due = 1
        again = [entry.position for entry in entries(await caller.publish(one))]
        await caller.close()
    assert losses.lost == 1
    first = [parse_entry(line.encode()).position for line in lines]
    assert [position.seq for position in again] == [1, 2], "it was written once more"
    assert all(old.mark != new.mark for old, new in zip(first, again, strict=True))
    assert one.owns(first)
    assert one.owns(again)


@pytest.mark.parametrize("one", [batch(None), batch(None, None), batch("a", None)])
async def test_a_lost_reply_to_a_message_without_a_key_is_never_sent_again(
    servers: Backend, store: Store, one: Publication
) -> None:
    losses = Losses()
    async with servers.lossy(losses) as way:
        caller = way.open(Keep())
        await caller.publish(publication("c"))
        losses.due = 1
        with pytest.raises(StoreUnavailable) as unknown:
            await caller.publish(one)
        assert unknown.value.outcome_unknown
        assert servers.keeper("c").cli("LLEN", LOG) == 1 + len(one.drafts)
        assert entries(await caller.publish(publication("c"))), "the next one finds a new connection"
        await caller.close()
    assert losses.lost == 1
