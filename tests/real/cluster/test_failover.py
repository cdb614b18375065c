"""A node of a cluster is killed under load, and its replica takes over: said at once, survived, and nothing untold."""

from __future__ import annotations

import asyncio
from contextlib import AsyncExitStack
from typing import TYPE_CHECKING

import pytest
from anyio import to_thread

from tests.testkit.alarm import auntil
from tests.testkit.checker import Minimum, check
from tests.testkit.cluster import Cluster, start_cluster
from tests.testkit.history import History
from tests.testkit.load_publisher import Publisher
from tests.testkit.raw_log import RawLog
from tests.testkit.reader import EventSourceReader, Rotate
from tests.testkit.service import Service

if TYPE_CHECKING:
    from pathlib import Path

    import httpx

    from tests.testkit.valkey import Valkey

pytestmark = [pytest.mark.real(seconds=35), pytest.mark.timeout(180)]

SETTINGS = {
    "GAPLESS_RATE": "0",
    "GAPLESS_STREAM_RATE": "0",
    "GAPLESS_RETRY_MS": "50",
    "GAPLESS_RECHECK": "2",
    "GAPLESS_CAP": "20000",
}
PACE = 0.02
"""Seconds between two posts of one publisher."""


def channels(cluster: Cluster) -> dict[Valkey, str]:
    """For each primary a channel that it holds."""
    found: dict[Valkey, str] = {}
    for number in range(1000):
        found.setdefault(cluster.owner(f"{{c{number}}}"), f"c{number}")
        if len(found) == cluster.primaries:
            return found
    raise AssertionError("a thousand channels, and not all nodes hold one")


def listeners(node: Valkey) -> int:
    """Pub/sub connections of clients that hang on this node."""
    return len(str(node.cli("CLIENT", "LIST", "TYPE", "pubsub")).splitlines())


class Load:
    """One publisher a channel, readers of each and of all, at two services."""

    def __init__(self, names: list[str], services: list[Service], client: httpx.AsyncClient) -> None:
        self.history = History()
        urls = [service.url for service in services]
        self.publishers = {
            name: Publisher(self.history, client, urls, name, f"publisher of {name}", seed=n)
            for n, name in enumerate(names)
        }
        self.readers = [
            EventSourceReader(
                self.history.reader(f"{name} {n}", name, must_reach_head=True),
                [f"{url}/channels/{name}/stream" for url in urls],
                client=client,
                seed=n,
                rotate=Rotate(seconds=(0.5, 3)) if n else None,
                retry_scale=0.2,  # 5 s where the store is away: a test's patience is shorter
            )
            for name in names
            for n in range(3)
        ]
        query = "&".join(f"channel={name}" for name in names)
        self.readers += [
            EventSourceReader(
                self.history.reader(f"all {n}", tuple(names), must_reach_head=True),
                [f"{url}/stream?{query}" for url in urls],
                client=client,
                seed=n,
                retry_scale=0.2,
            )
            for n in range(2)
        ]

    @property
    def acked(self) -> dict[str, int]:
        return {name: len(one.ids) for name, one in self.publishers.items()}

    async def publish(self, stop: asyncio.Event) -> None:
        """At a pace, each until it is told to stop; what was not answered is posted again."""

        async def go_on(one: Publisher) -> None:
            while not stop.is_set():
                await one.publish(f"{one.user} {sum(one.answers.values())}")
                await asyncio.sleep(PACE)

        async with asyncio.TaskGroup() as group:
            for one in self.publishers.values():
                group.create_task(go_on(one))

    async def more(self, count: int) -> None:
        """Wait until so many more were answered on every channel."""
        wanted = {name: acked + count for name, acked in self.acked.items()}
        await auntil(lambda: all(self.acked[n] >= wanted[n] for n in wanted), f"{count} more on each", alarm=60)


async def test_a_node_is_killed_and_its_replica_takes_over(tmp_path: Path, client: httpx.AsyncClient) -> None:
    """First the node on which a service's subscription hangs, then, once it is back as a replica, another primary."""
    with await to_thread.run_sync(lambda: start_cluster(tmp_path, replicas=3)) as cluster:
        owners = channels(cluster)
        env = SETTINGS | {"REDIS_URL": cluster.nodes[0].tcp_url}
        async with Service(env) as left, Service(env) as right, AsyncExitStack() as stack:
            load = Load(list(owners.values()), [left, right], client)
            for reader in load.readers:
                await stack.enter_async_context(reader)
            for reader in load.readers:
                await reader.until(lambda r: r.log.events, "hello", alarm=60)
            stop = asyncio.Event()
            publishing = asyncio.create_task(load.publish(stop))
            await load.more(50)

            hung = [node for node in owners if listeners(node)]
            spared = [node for node in owners if node not in hung]
            first = hung[0] if hung else spared[0]
            await kill(cluster, first, owners, load)
            await to_thread.run_sync(first.start)
            await to_thread.run_sync(cluster.wait_ok)
            second = next(node for node in owners if node is not first)
            await kill(cluster, second, owners, load)

            stop.set()
            await publishing
            for service in (left, right):
                assert "Traceback" not in service.log, service.log
            for name in owners.values():
                tell(cluster, name, load)
            heads = {name: log[-1].id for name, log in load.history.logs.items()}
            for reader in load.readers:
                await reader.until_at({n: heads[n] for n in reader.log.channels}, alarm=60)
    check(load.history, Minimum(messages=1500, published=300, readers=len(load.readers), reconnects=20)).require()
    away = sum(one.answers["503 none"] + one.answers["503 unknown"] for one in load.publishers.values())
    assert away >= 2, "nobody noticed"


async def kill(cluster: Cluster, node: Valkey, owners: dict[Valkey, str], load: Load) -> None:
    """SIGKILL under load; the other shards go on at once, this one when its replica has taken over."""
    name = owners[node]
    before = load.acked
    node.kill()
    others = [other for other in before if other != name]
    await auntil(lambda: all(load.acked[other] >= before[other] + 20 for other in others), "the others go on", alarm=30)
    await to_thread.run_sync(lambda: cluster.wait_moved(f"{{{name}}}", node, alarm=60))
    await load.more(30)


def tell(cluster: Cluster, name: str, load: Load) -> None:
    """The final log. Replication is asynchronous: what was answered and is not there was lost in a failover."""
    log = RawLog(cluster.owner(f"{{{name}}}"), name)
    log.tell(load.history)
    kept = {entry.id for entry in load.history.logs[name]}
    lost = [id_ for id_ in load.publishers[name].ids if id_ not in kept]
    if lost:
        load.history.rewritten(name, lost)


async def test_a_node_that_has_left_the_cluster_is_silent_and_left_behind(
    tmp_path: Path, client: httpx.AsyncClient
) -> None:
    """It answers PING and hears nothing: found by what the log holds, and another node is listened to."""
    with await to_thread.run_sync(lambda: start_cluster(tmp_path)) as cluster:
        owners = channels(cluster)
        env = SETTINGS | {"REDIS_URL": cluster.nodes[0].tcp_url}
        async with Service(env) as here, Service(env) as there, AsyncExitStack() as stack:
            for service in (here, there):
                await to_thread.run_sync(service.checked)
            history = History()
            readers = {
                node: EventSourceReader(history.reader(name, name), f"{here.url}/channels/{name}/stream", client=client)
                for node, name in owners.items()
            }
            for reader in readers.values():
                await stack.enter_async_context(reader)
                await reader.until(lambda r: r.opened, "hello")
            [silent] = [node for node in owners if listeners(node)]
            node = next(node for node in owners if node is not silent)
            ann = Publisher(history, client, there.url, owners[node])
            await ann.publish_many(3)
            await readers[node].until_messages(3)

            # What services try at their start expires at once, and is there until the server has looked.
            await auntil(lambda: silent.cli("DBSIZE") == 0, "it holds no keys")
            silent.cli("CLUSTER", "RESET", "SOFT")
            assert listeners(silent) == 1, "nothing was cut"
            await ann.publish_many(3)
            await readers[node].until_messages(6, alarm=30)
            await auntil(lambda: not listeners(silent), "the silent one is left", alarm=30)
            await auntil(lambda: sum(map(listeners, owners)) == 1, "another is listened to", alarm=30)
            await ann.publish_many(3)
            await readers[node].until_messages(9)
            assert {r.opened for r in readers.values()} == {1}, "no stream was ended"
            RawLog(node, owners[node]).tell(history)
    check(history, Minimum(messages=9, published=9)).require()
