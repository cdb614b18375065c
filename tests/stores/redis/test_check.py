"""What is missing is named before anybody needs it, and what docs/security.md lists is enough for everything."""

from __future__ import annotations

import itertools
import re
from collections.abc import AsyncIterator, Callable, Iterator
from contextlib import asynccontextmanager
from pathlib import Path

import pytest

from gapless.log.cursor import Position
from gapless.log.errors import StoreMisconfigured, StoreUnavailable
from gapless.log.namespaces import Feature, Namespace, Namespaces
from gapless.log.presence import Attendance
from gapless.log.publication import Rate, Repeated
from gapless.log.receipts import Marks, Receipt
from gapless.log.signals import Signal
from gapless.stores.redis.check import ALSO, COMMANDS
from gapless.stores.redis.store import RedisStore
from gapless.stores.scripts import Layout
from tests.stores.contract.publications import NOW, Heard, entries, message, publication
from tests.testkit.alarm import auntil
from tests.testkit.port import free_port
from tests.testkit.process import Process
from tests.testkit.valkey import Valkey, server_binary, start_valkey

PAGE = (Path(__file__).parent.parents[2] / "docs" / "security.md").read_text()
[LISTED] = re.findall(r"^ *(ACL SETUSER gapless .*)$", PAGE, re.MULTILINE)
RULES = LISTED.split()[3:]


@pytest.fixture
def server(tmp_path: Path) -> Iterator[Valkey]:
    with start_valkey(tmp_path, port=None) as valkey:
        yield valkey


@asynccontextmanager
async def store_of(server: Valkey, *rules: str, features: tuple[Feature, ...] = ()) -> AsyncIterator[RedisStore]:
    """As a user who may do just this."""
    server.cli("ACL", "SETUSER", "gapless", "reset", *rules, ">secret")
    store = RedisStore(f"redis://gapless:secret@127.0.0.1:{server.port}", offering(*features), page=50)
    try:
        yield store
    finally:
        await store.close()


def layout(database: int) -> Layout:
    return Layout("gapless", database, 20, 3600)


def offering(*features: Feature) -> Callable[[int], Layout]:
    """Of a service with a namespace that has these on."""
    plain, room = (Namespace(20, 3600, 0, 1, has) for has in ((), features))
    return lambda database: layout(database)._replace(namespaces=Namespaces(plain, {"room": room}))


async def test_what_the_page_lists_is_enough_for_everything(server: Valkey) -> None:
    async with store_of(server, *RULES, features=tuple(Feature)) as store:
        await store.check()
        await store.check()
        assert "missing" not in store.state()
        subscription = await store.subscribe("c", heard := Heard())
        rate = Rate("ann", 1, 1000)
        for number in range(4):
            await store.publish(publication("c", *range(10), rate=rate))
            one = publication("c", message(number, f"id {number}"), rate=rate)
            entries(await store.publish(one))
            assert isinstance(await store.publish(one), Repeated)
        entries(await store.publish(publication("c", message(1, "a"), message(2, "b"), key="k")))
        assert await store.tail("c", 1) and (await store.slice("c", 30, 40)).entries
        await auntil(lambda: len(heard.positions) >= 46, "it hears")
        assert [one.channel for one in (await store.channels("0"))[0]] == ["c"]
        for number in range(200):  # so many that the oldest give way
            mark = Position("t9x2k0ab", 1, "m4ez")
            await store.raise_marks(Receipt("c", "x" * 120 + str(number), Marks(mark), NOW))
        assert await store.marks("c")
        users = [f"user {number}" for number in range(1500)]  # so many that they are counted
        for asked in (users[:1000], users[1000:], users[:1000]):
            await store.attend(Attendance("c", 200_000, asked, 200_000, {users[1400]: None}, tidy=True))
        await store.signal(Signal("c", "000000000001", b"{}", NOW, rate))
        await store.forget("c")
        await store.ping()
        await subscription.close()
    assert server.cli("ACL", "LOG") == []


async def test_a_server_that_forgets_its_scripts_meanwhile_lacks_nothing(valkey: Valkey) -> None:
    """SCRIPT FLUSH, or another server at the address, between the script's text and its SHA-1."""
    store = RedisStore(valkey.url, offering(*Feature), page=50)
    call, forgotten = store._standalone.call, 0

    async def forget(command: tuple[object, ...]) -> object:
        nonlocal forgotten
        reply = await call(command)
        if command[0] == "EVAL":
            forgotten += 1
            valkey.cli("SCRIPT", "FLUSH", "SYNC")
        return reply

    store._standalone.call = forget  # type: ignore[assignment, method-assign]
    await store.check()
    assert forgotten == 1 and "missing" not in store.state()
    await store.close()


def test_the_page_lists_what_is_checked() -> None:
    granted = {rule[1:].upper() for rule in RULES if rule.startswith("+")}
    cluster = {"INFO", "CLUSTER|SLOTS", "ASKING"}
    assert granted == {*COMMANDS, *itertools.chain(*ALSO.values())} | cluster


@pytest.mark.parametrize("command", COMMANDS)
async def test_each_right_that_is_missing_is_named(server: Valkey, command: str) -> None:
    async with store_of(server, *RULES, f"-{command.lower()}") as store:
        with pytest.raises(StoreMisconfigured, match=rf"may not run {command}\b.*docs/security.md"):
            await store.check()
        server.cli("ACL", "SETUSER", "gapless", f"+{command.lower()}")
        await store.check()


@pytest.mark.parametrize(
    ("rules", "told"),
    [
        (("+@all", "~gapless:*"), "pub/sub channels"),
        (("+@all", "~other:*", "&*"), "our keys"),
    ],
)
async def test_so_are_names_that_it_may_not_use(server: Valkey, rules: tuple[str, ...], told: str) -> None:
    async with store_of(server, "on", *rules) as store:
        with pytest.raises(StoreMisconfigured, match=told):
            await store.check()


@pytest.mark.parametrize("command", ALSO["GET /channels"])
async def test_what_only_the_list_of_channels_needs_is_no_reason_to_stop(server: Valkey, command: str) -> None:
    async with store_of(server, *RULES, f"-{command.lower()}") as store:
        await store.check()
        assert store.state()["missing"] == f"{command} (GET /channels)"
        await store.publish(publication("c"))
        with pytest.raises(StoreMisconfigured, match=f"may not run {command}"):
            await store.channels("0")


async def test_what_only_receipts_and_presence_need_is_named_where_they_are_on(server: Valkey) -> None:
    """Each command by itself, then all of them; messages go on."""
    wanted = [(feature, name) for feature in (Feature.RECEIPTS, Feature.PRESENCE) for name in ALSO[feature]]
    for feature, name in wanted:
        async with store_of(server, *RULES, f"-{name.lower()}", features=(feature,)) as store:
            await store.check()
            assert store.state()["missing"] == f"{name} ({feature})"
            entries(await store.publish(publication("c")))
    lacking = [f"-{name.lower()}" for _, name in wanted]
    for features, told in (
        (tuple(Feature), ", ".join(f"{' '.join(ALSO[one])} ({one})" for one in ("receipts", "presence"))),
        ((Feature.SIGNALS,), None),
    ):
        async with store_of(server, *RULES, *lacking, features=features) as store:
            await store.check()
            assert store.state().get("missing") == told
    await auntil(lambda: server.cli("KEYS", "*~check*") == [], "nothing is left of it")


async def test_a_replica_and_a_full_server(server: Valkey) -> None:
    async with store_of(server, *RULES) as store:
        await store.check()
        server.cli("CONFIG", "SET", "maxmemory", "1")
        with pytest.raises(StoreMisconfigured, match="is full"):
            await store.check()
        server.cli("CONFIG", "SET", "maxmemory", "0")
        await store.check()
        server.cli("REPLICAOF", "127.0.0.1", "1")
        with pytest.raises(StoreMisconfigured, match="read-only replica"):
            await store.check()
    async with store_of(server, *RULES) as store:
        with pytest.raises(StoreMisconfigured, match="read-only replica"):
            await store.check()


async def test_a_sentinel(tmp_path: Path) -> None:
    port = free_port()
    (tmp_path / "sentinel.conf").write_text(f"port {port}\nbind 127.0.0.1\n")
    with Process("sentinel", [server_binary(), str(tmp_path / "sentinel.conf"), "--sentinel"]) as sentinel:
        sentinel.wait_for_line("Sentinel ID is|Ready to accept")
        store = RedisStore(f"redis://127.0.0.1:{port}", layout, page=50)
        await auntil(lambda: _refused_as_sentinel(store), "it is told what it is")
        await store.close()


async def _refused_as_sentinel(store: RedisStore) -> bool:
    try:
        await store.check()
    except StoreUnavailable as error:
        return "leads to a Sentinel" in error.detail
    return False


async def test_once_seen_it_costs_a_command(server: Valkey) -> None:
    async with store_of(server, *RULES) as store:
        await store.check()
        with server.count_commands() as counted:
            await store.check()
            await store.check()
        assert counted == {"set": 2}
        await auntil(lambda: server.cli("DBSIZE") == 0, "nothing is left of it")
