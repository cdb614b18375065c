"""A server that changes under us, while our connections stay open: seconds later everything works where it is now."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager
from pathlib import Path

import pytest

from gapless.log.errors import StoreMisconfigured, StoreUnavailable
from gapless.log.publication import Repeated
from gapless.stores.redis import pool as redis_pool
from gapless.stores.redis.store import RedisStore
from gapless.stores.scripts import Layout
from tests.stores.contract.publications import Heard, entries, message, publication
from tests.testkit.alarm import auntil
from tests.testkit.cluster import start_cluster
from tests.testkit.fault_proxy import FaultProxy
from tests.testkit.port import free_port
from tests.testkit.valkey import Valkey, start_valkey

LOG = "gapless:{c}:log"


def layout(database: int) -> Layout:
    return Layout("gapless", database, 20, 3600)


@asynccontextmanager
async def store_at(port: int, user: str = "") -> AsyncIterator[RedisStore]:
    store = RedisStore(f"redis://{user}127.0.0.1:{port}", layout, page=50)
    try:
        yield store
    finally:
        await store.close()


@pytest.fixture
def pair(tmp_path: Path) -> Iterator[tuple[Valkey, Valkey]]:
    """A primary and a replica that follows it."""
    with (
        start_valkey(tmp_path / "a", "--repl-diskless-sync-delay", "0", port=None, unixsocket=False) as first,
        start_valkey(tmp_path / "b", port=None, unixsocket=False) as second,
    ):
        second.cli("REPLICAOF", "127.0.0.1", first.port)
        yield first, second


def address(valkey: Valkey) -> tuple[str, int]:
    return "127.0.0.1", valkey.port


async def swap(old: Valkey, new: Valkey) -> None:
    """A planned failover: the roles change, and nobody's connection is cut."""
    await auntil(lambda: "master_link_status:up" in new.cli("INFO", "replication"), "the replica follows")
    old.cli("CLIENT", "PAUSE", 10_000, "WRITE")
    await auntil(lambda: old.cli("LLEN", LOG) == new.cli("LLEN", LOG), "the replica has everything")
    new.cli("REPLICAOF", "NO", "ONE")
    old.cli("REPLICAOF", "127.0.0.1", new.port)
    old.cli("CLIENT", "UNPAUSE")


async def test_a_primary_is_demoted_while_connections_stay_open(pair: tuple[Valkey, Valkey]) -> None:
    old, new = pair
    async with FaultProxy(address(old)) as route, store_at(route.port) as store:
        await store.subscribe("c", heard := Heard())
        await asyncio.gather(*(store.publish(publication("c")) for _ in range(8)))
        await auntil(lambda: len(heard.positions) == 8, "it heard all")
        await swap(old, new)
        route.redirect(address(new))
        outcomes = await asyncio.gather(*(store.publish(publication("c", 1)) for _ in range(8)))
        assert all(entries(outcome) for outcome in outcomes), "the first try already, and without an idempotency key"
        assert new.cli("LLEN", LOG) == 16
        await auntil(lambda: heard.calls[-1] != "lost" and "heard" in heard.calls, "it listens at the new one")
        assert "lost" in heard.calls
        last = entries(await store.publish(publication("c")))[0].position
        await auntil(lambda: last in heard.positions, "and hears")
        assert new.cli("PUBSUB", "NUMSUB", "gapless:0:c") == ["gapless:0:c", 1]


async def test_where_nobody_has_taken_over_nothing_was_written_and_nobody_is_stormed(
    pair: tuple[Valkey, Valkey], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(redis_pool, "RENEWED", 1000.0)
    old, new = pair
    async with FaultProxy(address(old)) as route, store_at(route.port) as store:
        await store.publish(publication("c"))
        await swap(old, new)
        refused = await asyncio.gather(*(store.publish(publication("c")) for _ in range(4)), return_exceptions=True)
        for error in refused:
            assert isinstance(error, StoreUnavailable) and not error.outcome_unknown
            assert "READONLY" in error.detail
        assert old.cli("LLEN", LOG) == new.cli("LLEN", LOG) == 1
        assert route.connections <= 1 + 4 + 4, "connections are let go once, not at each refusal"


async def test_the_password_is_another_one_and_ours_is_too(tmp_path: Path) -> None:
    """A rotation: the old one is withdrawn and everybody is put out; what the URL says is good at the next greeting."""
    with start_valkey(tmp_path, port=None) as valkey:
        valkey.cli("ACL", "SETUSER", "ann", "on", ">old", "~*", "&*", "+@all")
        async with store_at(valkey.port, "ann:old@") as store:
            await store.subscribe("c", heard := Heard())
            first = entries(await store.publish(publication("c", message(1, "id"))))
            valkey.cli("ACL", "SETUSER", "ann", "<old", ">new")
            valkey.cli("CLIENT", "KILL", "TYPE", "normal", "SKIPME", "yes")
            valkey.cli("CLIENT", "KILL", "TYPE", "pubsub")
            await auntil(lambda: heard.calls[-1:] == ["lost"], "the connections are gone")
            with pytest.raises(StoreMisconfigured, match="refuses the user or password") as refused:
                await store.publish(publication("c"))
            assert not refused.value.outcome_unknown and "old" not in refused.value.detail
            valkey.cli("ACL", "SETUSER", "ann", ">old")
            again = await store.publish(publication("c", message(1, "id")))
            assert again == Repeated((first[0].position,), first[0].time)
            await auntil(lambda: heard.calls[-1:] == ["heard"], "it hears again")


async def test_a_connection_that_is_not_greeted_any_more_is_made_anew(tmp_path: Path) -> None:
    """NOAUTH: behind the same connection stands a server that was never told the password."""
    with start_valkey(tmp_path, port=None) as valkey:
        async with store_at(valkey.port, ":secret@") as store:
            valkey.cli("ACL", "SETUSER", "default", ">secret", "resetkeys", "~*")
            await store.ping()
            for connection in tuple(store._standalone._pool._resting):
                await connection.connection.send_command("RESET")
                await connection.connection.read_response()
            assert entries(await store.publish(publication("c")))


@pytest.mark.parametrize("refusal", ["LOADING a dump", "MASTERDOWN no link", "CLUSTERDOWN no node", "BUSY now"])
async def test_what_passes_is_waited_for(refusal: str, valkey: Valkey) -> None:
    """The server says so twice, as it does while it starts or fails over; the message has no idempotency key."""
    store = RedisStore(valkey.url, layout, page=50)
    asked = 0
    call = store._standalone.call

    async def refuse(command: tuple[object, ...]) -> object:
        nonlocal asked
        asked += command[0] == "EVALSHA"
        if command[0] == "EVALSHA" and asked <= 2:
            code, text = refusal.split(" ", 1)
            return await call(("EVAL", f"return redis.error_reply('{code} {text}')", 0))
        return await call(command)

    store._standalone.call = refuse  # type: ignore[assignment, method-assign]
    assert len(entries(await store.publish(publication("c")))) == 1
    assert asked == 3
    await store.close()


async def test_a_server_becomes_a_node_of_a_cluster(tmp_path: Path) -> None:
    """As behind a name that leads elsewhere after a migration."""
    with start_valkey(tmp_path / "one", port=None, unixsocket=False) as one, start_cluster(tmp_path / "three") as three:
        async with FaultProxy(address(one)) as route, store_at(route.port) as store:
            assert entries(await store.publish(publication("c")))
            route.redirect(address(three.nodes[0]))
            route.cut_all()
            await auntil(lambda: route.open == 0, "the connections are gone")
            for channel in ("a", "b", "c", "d"):
                assert entries(await store.publish(publication(channel)))


async def test_a_cluster_announces_an_address_that_leads_nowhere(tmp_path: Path) -> None:
    """As from containers: the sentence names the address and what to set."""
    announces = ("--cluster-announce-ip", "127.0.0.9", "--cluster-announce-port", "1")
    cluster = ("--cluster-enabled", "yes", "--cluster-port", str(free_port()))  # else port + 10000, free or not
    with start_valkey(tmp_path, *cluster, *announces, port=None, unixsocket=False) as node:
        node.cli("CLUSTER", "ADDSLOTSRANGE", 0, 16383)
        await auntil(lambda: "cluster_state:ok" in node.cli("CLUSTER", "INFO"), "the cluster is well")
        async with store_at(node.port) as store:
            for call in (lambda: store.publish(publication("c")), store.check):
                with pytest.raises(StoreUnavailable, match=r"announces 127\.0\.0\.9:1, .*cluster-announce-ip") as error:
                    await call()
                assert not error.value.outcome_unknown
