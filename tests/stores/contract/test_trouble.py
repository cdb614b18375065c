"""A store that is starved, silent or dead: said within a bound, nothing half written, and well again by itself."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable

import pytest

from gapless.log.errors import CorruptLog, StoreUnavailable
from gapless.log.store import Store
from tests.stores.contract.backend import Backend
from tests.stores.contract.conftest import Open
from tests.stores.contract.publications import Heard, entries, message, publication
from tests.testkit.alarm import auntil
from tests.testkit.valkey import Valkey

long = pytest.mark.real(seconds=4)
"""Starts servers of its own, of which a cluster takes seconds to agree, and seconds more after they were killed."""
LOG = "gapless:{c}:log"
BOUND = 10.0
"""Seconds in which a call has to end, whatever the server does; five times what is wanted."""
HURRY = 1.0
"""Seconds of patience where a test has to outwait them."""


def calls(store: Store) -> dict[str, Callable[[], Awaitable[object]]]:
    return {
        "publish": lambda: store.publish(publication("c")),
        "publish with a key": lambda: store.publish(publication("c", message(1, "id"))),
        "tail": lambda: store.tail("c", 1),
        "slice": lambda: store.slice("c", 1, 2),
        "subscribe": lambda: store.subscribe("d", Heard()),
        "ping": store.ping,
    }


async def unavailable(call: Callable[[], Awaitable[object]]) -> StoreUnavailable:
    """What the call raises, within the bound."""
    async with asyncio.timeout(BOUND):
        with pytest.raises(StoreUnavailable) as error:
            await call()
    assert not isinstance(error.value, CorruptLog)
    return error.value


async def works(store: Store) -> bool:
    try:
        return bool(entries(await store.publish(publication("c"))) and await store.tail("c", 1))
    except StoreUnavailable:
        return False


async def hearing(store: Store) -> Heard:
    """A listener to "c" whose subscription is acknowledged: to a store in a hurry, a good server may be too slow."""

    async def asked() -> Heard | None:
        try:
            await store.subscribe("c", heard := Heard())
        except StoreUnavailable:
            return None
        return heard

    return await auntil(asked, "a subscription")


def changes(heard: Heard) -> list[str]:
    return [call for call in heard.calls if call != "notice"]


# --- a server that can't write


@long
async def test_what_the_server_refuses_leaves_no_trace(fragile: Backend, store: Store) -> None:
    for setting in (("maxmemory", "1"), ("min-replicas-to-write", "1")):
        await leaves_no_trace(fragile.keeper("c"), store, setting)


async def leaves_no_trace(server: Valkey, store: Store, setting: tuple[str, str]) -> None:
    """A server with that setting writes nothing; without it everything is written that it has refused."""
    server.flush()
    sent = {
        "plain": publication("c", 1),
        "with a key": publication("c", message(1, "id")),
        "a batch with keys": publication("c", message(1, "a"), message(2, "b"), key="k"),
    }
    before = entries(await store.publish(publication("c")))
    server.cli("CONFIG", "SET", *setting)
    for one in sent.values():
        error = await unavailable(lambda: store.publish(one))  # noqa: B023
        assert not error.outcome_unknown
    assert await store.tail("c", 10) == [*before], "what is there can be read"
    assert server.cli("KEYS", "gapless:{c}:*") == [LOG]
    server.cli("CONFIG", "SET", setting[0], "0")
    for one in sent.values():
        assert entries(await store.publish(one))


# --- a server that forgets its scripts


async def test_a_server_that_has_forgotten_the_scripts_is_told_them_again(servers: Backend, store: Store) -> None:
    for _ in range(3):
        before = entries(await store.publish(publication("c")))
        servers.keeper("c").cli("SCRIPT", "FLUSH", "SYNC")
        (after,) = entries(await store.publish(publication("c", message(1))))
        assert after.follows(before[-1].position), "what was not known was not run"
        servers.keeper("c").cli("SCRIPT", "FLUSH", "SYNC")
        assert (await store.slice("c", 1, 50)).latest == after.link


# --- a server that is gone


@long
async def test_a_server_that_is_gone_is_said_to_be_and_found_when_it_is_back(
    fragile: Backend, open_store: Open, monkeypatch: pytest.MonkeyPatch
) -> None:
    with monkeypatch.context() as patch:
        fragile.hurry(patch, HURRY)
        store = open_store()
        heard = await hearing(store)
        await auntil(lambda: works(store), "it works")
        for valkey in fragile.valkeys:
            valkey.kill()
        await asyncio.gather(*map(unavailable, calls(store).values()))
        await auntil(lambda: changes(heard)[-1:] == ["lost"], "the loss is told")
    for valkey in fragile.valkeys:
        valkey.start()
    async with asyncio.timeout(BOUND):
        await auntil(lambda: works(store), "it works again without a restart of ours")
        await auntil(lambda: changes(heard)[-1] == "heard", "it hears again")
    last = entries(await open_store().publish(publication("c")))
    await auntil(lambda: last[0].position in heard.positions, "what is appended from then on is told")
    # One pair; one more for each time that the machine was held up for longer than a store in a hurry waits.
    assert changes(heard) == ["lost", "heard"] * changes(heard).count("lost")


@long
async def test_a_store_can_be_opened_before_its_server(fragile: Backend, open_store: Open) -> None:
    store = open_store()
    for valkey in fragile.valkeys:
        valkey.kill()
    errors = await asyncio.gather(*map(unavailable, calls(store).values()))
    assert not any(error.outcome_unknown for error in errors), "nothing was sent"
    for valkey in fragile.valkeys:
        valkey.start()
    await auntil(lambda: works(store), "it works")


# --- a server that is silent


@long
async def test_a_silent_server_is_given_up_in_time(
    fragile: Backend, open_store: Open, monkeypatch: pytest.MonkeyPatch
) -> None:
    patient = open_store()
    first = entries(await patient.publish(publication("c", message(0, "first"))))
    fragile.hurry(monkeypatch, HURRY)
    store = open_store()
    heard = await hearing(store)
    await auntil(lambda: works(store), "it works, by a connection that is then silent")
    for valkey in fragile.valkeys:
        valkey.pause()
    made = calls(store)
    del made["subscribe"]
    errors = dict(zip(made, await asyncio.gather(*map(unavailable, made.values())), strict=True))
    assert errors["publish"].outcome_unknown
    await auntil(lambda: changes(heard)[-1:] == ["lost"], "a silent subscription is noticed")
    for valkey in fragile.valkeys:
        valkey.resume()
    await auntil(lambda: works(store), "it works again")
    await auntil(lambda: changes(heard)[-1] == "heard", "it hears again")
    log = await patient.tail("c", 50)
    keyed = [entry for entry in log if b'"localId":"id"' in entry.body]
    assert len(keyed) <= 1, "sent twice, appended once"
    assert log[0] == first[0]


@long
async def test_many_who_ask_a_silent_server_wait_side_by_side(
    fragile: Backend, open_store: Open, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A store that has never been answered: the first question must not hold up the rest."""
    fragile.hurry(monkeypatch, HURRY)
    store = open_store()
    for valkey in fragile.valkeys:
        valkey.pause()
    async with asyncio.timeout(HURRY * 2 * 5 + 1):
        await asyncio.gather(*(unavailable(lambda: store.tail("c", 1)) for _ in range(20)))
    for valkey in fragile.valkeys:
        valkey.resume()
    await auntil(lambda: works(store), "it works")


async def test_callers_who_leave_take_nothing_with_them(servers: Backend, store: Store) -> None:
    """A cancelled call must not leave its reply to the next, nor keep its connection."""
    added = [entries(await store.publish(publication("c", data)))[0] for data in range(12)]
    for turn in range(7 * 11):
        leaving = asyncio.create_task(store.tail("c", turn % 11 + 1))
        for _ in range(turn % 7):
            await asyncio.sleep(0)
        leaving.cancel()
        await asyncio.gather(leaving, return_exceptions=True)
    for count in range(1, 13):
        assert await store.tail("c", count) == added[-count:]


async def test_more_callers_than_connections_are_all_served(store: Store) -> None:
    added = entries(await store.publish(publication("c", *range(12))))
    tails = await asyncio.gather(*(store.tail("c", count % 12 + 1) for count in range(60)))
    assert tails == [list(added[-(count % 12 + 1) :]) for count in range(60)]


# --- the end


@long
async def test_a_closed_store_keeps_no_connection_and_no_task(fragile: Backend, open_store: Open) -> None:
    def connections() -> int:
        return sum(len(valkey.cli("CLIENT", "LIST").splitlines()) - 1 for valkey in fragile.valkeys)

    tasks, before = asyncio.all_tasks(), connections()
    store = open_store()
    assert connections() == before, "nothing is connected before the first call"
    assert await works(store)
    await store.subscribe("c", Heard())
    await asyncio.gather(*(store.ping() for _ in range(5)))
    assert connections() > before
    await store.close()
    await auntil(lambda: connections() == before, "every connection was let go")
    assert {task for task in asyncio.all_tasks() - tasks if task.get_name().startswith("gapless")} == set()


async def test_who_is_asking_while_the_store_is_closed_opens_nothing_anew(servers: Backend, open_store: Open) -> None:
    """At whatever moment of the call; what is repeated after a failure comes to a closed door, too."""

    def connections() -> int:
        return sum(len(valkey.cli("CLIENT", "LIST").splitlines()) - 1 for valkey in servers.valkeys)

    before = connections()
    for turn in range(14):
        store = open_store()
        asked = [asyncio.create_task(store.tail("c", 1)), asyncio.create_task(store.subscribe("c", Heard()))]
        for _ in range(2 * turn):
            await asyncio.sleep(0)
        if turn % 2:
            await store.tail("c", 1)
        await store.close()
        for outcome in await asyncio.gather(*asked, return_exceptions=True):
            assert not isinstance(outcome, BaseException) or isinstance(outcome, StoreUnavailable), repr(outcome)
    await auntil(lambda: connections() <= before, "every connection was let go")
