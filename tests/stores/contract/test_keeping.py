"""What an administrator asks: which channels there are, and to forget one."""

from __future__ import annotations

import asyncio

import pytest

from gapless.log.publication import Publication, Repeated
from gapless.log.store import ChannelInfo, Store
from gapless.stores import keyspace
from gapless.stores.scripts import load
from tests.stores.contract.backend import Backend, Keep
from tests.stores.contract.conftest import Open
from tests.stores.contract.publications import NOW, Heard, entries, message, publication
from tests.testkit.alarm import auntil


async def listed(store: Store) -> dict[str, ChannelInfo]:
    """All pages; some channels may come twice."""
    found: dict[str, ChannelInfo] = {}
    cursor: str | None = "0"
    while cursor is not None:
        page, cursor = await store.channels(cursor)
        found |= {info.channel: info for info in page}
    return found


async def test_every_channel_that_has_a_log_is_listed(store: Store, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(keyspace, "PAGE", 16)
    assert await listed(store) == {}
    names = [f"c{number}" for number in range(keyspace.PAGE + 1)] + ["a:b", "a.b", "A-_"]
    newest = {name: entries(await store.publish(publication(name, 1, 2)))[-1] for name in names}
    assert await listed(store) == {name: ChannelInfo(name, 2, newest[name]) for name in names}


async def test_only_logs_of_ones_own_prefix_are_listed(servers: Backend, open_store: Open) -> None:
    ours, theirs = open_store(), open_store(prefix="gapless2")
    await theirs.publish(publication("c", message(1, "id")))
    assert await listed(ours) == {}
    assert set(await listed(theirs)) == {"c"}


async def test_a_foreign_key_hides_no_channel(servers: Backend, store: Store) -> None:
    await store.publish(publication("c"))
    servers.keeper("text").cli("SET", "gapless:{text}:log", "mine")
    servers.keeper("list").cli("RPUSH", "gapless:{list}:log", "mine")
    assert set(await listed(store)) == {"c"}


async def test_a_channel_that_is_forgotten_begins_anew(servers: Backend, store: Store) -> None:
    (old,) = entries(await store.publish(publication("c", message(1, "id"))))
    await store.forget("c")
    assert await store.tail("c", 10) == []
    assert await listed(store) == {}
    (new,) = entries(await store.publish(publication("c", message(1, "id"), now=NOW + 1000)))
    assert new.position.seq == 1
    assert new.position.epoch > old.position.epoch


async def test_a_key_of_the_log_that_begins_while_one_is_forgotten_is_kept(
    servers: Backend, open_store: Open, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Its message would be written twice."""
    store, keeper = open_store(), servers.keeper("c")
    await store.publish(publication("c", message(1, "id")))
    again = publication("c", message(1, "id"), now=NOW + 1000)
    unlinked = asyncio.Event()
    send = keyspace.LOOK

    class Look(bytes):
        """What is published once the log is deleted: by then somebody else has begun it anew."""

        def decode(self, *_: str) -> str:
            keeper.cli(*_evalsha(again))
            unlinked.set()
            return send.decode()

    monkeypatch.setattr(keyspace, "LOOK", Look())
    await store.forget("c")
    assert unlinked.is_set()
    assert isinstance(await store.publish(again), Repeated)
    assert keeper.cli("LLEN", "gapless:{c}:log") == 1


def _evalsha(one: Publication) -> list[str | int | bytes]:
    keys, args = Keep().layout(0).publish(one)
    return ["EVAL", load("publish").text, len(keys), *keys, *args]


async def test_forgetting_one_leaves_the_others(store: Store) -> None:
    kept = {name: entries(await store.publish(publication(name))) for name in ("a", "a:b", "ab", "A")}
    await store.publish(publication("c"))
    await store.forget("c")
    assert {name: tuple(await store.tail(name, 5)) for name in kept} == kept


async def test_readers_of_a_forgotten_channel_are_made_to_look(servers: Backend, store: Store) -> None:
    await store.subscribe("c", heard := Heard())
    last = entries(await store.publish(publication("c")))[0].position
    await auntil(lambda: last in heard.positions, "the message was told")
    await store.forget("c")
    await auntil(lambda: [place for place in heard.positions if place != last], "something was told that nobody has")


async def test_what_was_never_there_can_be_forgotten(store: Store) -> None:
    await store.forget("c")
    assert await store.tail("c", 1) == []


async def test_a_store_says_how_it_works(store: Store) -> None:
    assert all(isinstance(value, str) and value for value in store.state().values())
    assert store.name
    assert store.recheck > 0
    assert store.lag >= 0
