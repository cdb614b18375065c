"""What each call costs in commands, those inside scripts included: each may be billed."""

from __future__ import annotations

from collections.abc import Awaitable, Iterator
from contextlib import ExitStack, contextmanager

from gapless.api.schemas import Message
from gapless.log.publication import Limited, Outcome, Rate, Repeated
from gapless.log.store import Store
from tests.stores.contract.backend import Backend
from tests.stores.contract.conftest import Open
from tests.stores.contract.publications import NOW, Heard, entries, message, publication
from tests.testkit.valkey import Counted

RATE = Rate("ann", 100, 200)
FOREIGN = "for i = 1, 50000 do redis.call('SET', KEYS[1] .. i, i) end"
MONTH = 30 * 86_400_000


@contextmanager
def counting(servers: Backend) -> Iterator[Counted]:
    """All commands on all servers; a script counts one, and so does each command inside."""
    total = Counted()
    with ExitStack() as stack:
        each = [stack.enter_context(valkey.count_commands()) for valkey in servers.valkeys]
        yield total
    for counted in each:
        total.update(counted)


async def fill(store: Store, count: int) -> None:
    for _ in range(count // 20):
        await store.publish(publication("c", *range(20)))


async def cost(servers: Backend, call: Awaitable[object]) -> Counted:
    with counting(servers) as counted:
        await call
    return counted


async def test_a_plain_publish_at_steady_state(servers: Backend, open_store: Open) -> None:
    store = open_store(cap=200, retention=86_400)
    await fill(store, 240)
    with counting(servers) as counted:
        for number in range(60):
            await store.publish(publication("c", now=NOW + number * MONTH // 10_000))
    assert counted["ltrim"] >= 1, "steady state was reached"
    assert counted["pexpire"] >= 1, "time went by"
    assert counted.total() / 60 <= 4.3
    assert {name: counted[name] for name in ("lindex", "rpush", "publish")} == dict.fromkeys(
        ("lindex", "rpush", "publish"), 60
    )


async def test_a_publish_with_a_localid_at_steady_state(servers: Backend, open_store: Open) -> None:
    store = open_store(cap=200)
    await fill(store, 240)
    with counting(servers) as counted:
        for number in range(60):
            await store.publish(publication("c", message(number, f"id{number}")))
    assert counted["ltrim"] >= 1
    assert counted.total() / 60 <= 5.3


async def test_the_smallest_log_is_trimmed_at_every_sixth_message(servers: Backend, open_store: Open) -> None:
    store = open_store(cap=20)
    await fill(store, 20)
    await store.publish(publication("c", *range(5)))
    with counting(servers) as counted:
        for _ in range(30):
            await store.publish(publication("c"))
    assert counted["ltrim"] == 5
    assert counted.total() == 30 * 4 + 5


async def test_the_first_message_also_sets_the_expiry(servers: Backend, store: Store) -> None:
    await store.publish(publication("c"))  # so that the server knows the script
    servers.keeper("c").cli("DEL", "gapless:{c}:log")
    counted = await cost(servers, store.publish(publication("c")))
    assert counted.total() == 5
    assert counted["pexpire"] == 1


async def test_a_batch_costs_what_one_message_does(servers: Backend, open_store: Open) -> None:
    store = open_store(cap=1000)
    await store.publish(publication("c"))
    assert (await cost(servers, store.publish(publication("c", *range(100))))).total() == 4
    assert (await cost(servers, store.publish(publication("c", *range(100), key="k")))).total() == 5
    ids = [message(1, f"id{number}") for number in range(100)]
    assert (await cost(servers, store.publish(publication("c", *ids)))).total() <= 105, "a key each is a command each"


async def test_what_appends_nothing_costs_three(servers: Backend, store: Store) -> None:
    await store.publish(publication("c", message("a", "id")))
    repeated = await cost(servers, store.publish(publication("c", message("a", "id"))))
    conflict = await cost(servers, store.publish(publication("c", message("b", "id"))))
    assert (repeated.total(), conflict.total()) == (3, 3)


async def test_the_rate_costs_two_and_a_refusal_three_at_most(servers: Backend, store: Store) -> None:
    def post(local_id: str | None = None, rate: Rate | None = RATE) -> Awaitable[Outcome]:
        return store.publish(publication("c", message(1, local_id), rate=rate))

    first = await post("first")
    for local_id, plain in ((None, 4), ("id", 5)):
        assert (await cost(servers, post(local_id))).total() == plain + 2
    await store.publish(publication("c", *range(197), rate=RATE))
    assert isinstance(await post(), Limited)
    assert (await cost(servers, post())).total() == 2
    assert (await cost(servers, post("new"))).total() == 3
    assert isinstance(await post("first"), Repeated)
    assert (await cost(servers, post("first"))).total() <= 5
    assert entries(first)


async def test_a_refusal_costs_no_more_because_many_keys_are_known(servers: Backend, store: Store) -> None:
    """Over his rate, somebody could else have a hundred keys looked up by each post, for nothing."""
    ids = [message(1, f"id{number}") for number in range(100)]

    def post(*messages: Message) -> Awaitable[Outcome]:
        return store.publish(publication("c", *messages, rate=RATE))

    await post(*ids)
    await post(*range(100))
    assert isinstance(await post(1), Limited)
    assert (await cost(servers, post(*ids))).total() <= 5, "a repeat, which is never refused"
    assert (await cost(servers, post(*ids[1:], message(1, "new")))).total() == 3
    assert (await cost(servers, post(message(2, "id1"), *ids[2:]))).total() <= 5, "other content"


async def test_a_read_costs_one_and_a_slice_four(servers: Backend, store: Store) -> None:
    await fill(store, 20)
    await store.slice("c", 1, 1)
    assert (await cost(servers, store.tail("c", 10))).total() == 1
    assert (await cost(servers, store.slice("c", 5, 15))).total() == 4
    assert (await cost(servers, store.slice("c", 5, 4))).total() <= 3
    assert (await cost(servers, store.slice("none", 5, 15))).total() == 2


async def test_forgetting_a_channel_costs_two_whatever_else_there_is(servers: Backend, store: Store) -> None:
    await store.publish(publication("c", message(1, "id")))
    servers.keeper("c").cli("EVAL", FOREIGN, 1, "foreign:{c}", alarm=30)
    assert (await cost(servers, store.forget("c"))).total() == 2


async def test_listening_costs_nothing(servers: Backend, open_store: Open) -> None:
    here, there = open_store(), open_store()
    heards = [Heard() for _ in range(5)]
    await there.publish(publication("c"))
    with counting(servers) as counted:
        for heard in heards:
            await here.subscribe("c", heard)
        await there.ping()
    assert counted.total() == 0
    assert (await cost(servers, there.publish(publication("c")))).total() == 4, "one or five who listen: the same"
