"""A real cluster: slots shared out, a dead primary's taken over by its replica."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest
from redis import Redis
from redis.asyncio.cluster import RedisCluster

from tests.testkit.alarm import until
from tests.testkit.cluster import settle, start_cluster

if TYPE_CHECKING:
    from pathlib import Path

pytestmark = pytest.mark.real(seconds=8)


async def test_three_nodes_share_the_slots(tmp_path: Path) -> None:
    with start_cluster(tmp_path) as cluster:
        with cluster.count_commands() as counted:
            async with RedisCluster.from_url(cluster.url) as redis:
                for n in range(50):
                    await redis.set(f"k{n}", n)
        assert counted == {"set": 50}
        assert sum(node.cli("DBSIZE") for node in cluster.nodes) == 50
        assert all(node.cli("DBSIZE") for node in cluster.nodes)
        assert cluster.owner("k1").cli("GET", "k1") == "1"


async def test_a_replica_takes_over(tmp_path: Path) -> None:
    with start_cluster(tmp_path, 3, replicas=1) as cluster:
        key = next(f"k{n}" for n in range(100) if cluster.owner(f"k{n}") is cluster.nodes[0])
        with cluster.count_commands() as counted:
            assert cluster.owner(key).cli("SET", key, "kept") == "OK"
            assert [node.cli("DBSIZE") for node in cluster.nodes[1:3]] == [0, 0]
        assert counted == {"set": 1, "dbsize": 2}
        until(lambda: cluster.nodes[3].cli("DBSIZE"), "the replica has it")
        cluster.nodes[0].kill()
        heir = cluster.wait_moved(key, cluster.nodes[0])
        assert heir is cluster.nodes[3]
        async with RedisCluster.from_url(cluster.url) as redis:
            assert await redis.get(key) == b"kept"


def test_what_was_published_before_reaches_nobody_who_listens_later(tmp_path: Path) -> None:
    """A node that stood still has much to hear from another one, and hears a listener in between."""
    with start_cluster(tmp_path, node_timeout_ms=30_000) as cluster:
        here, there, _ = cluster.nodes
        for _ in range(5):
            with Redis.from_url(there.tcp_url) as redis, redis.pubsub() as ear:
                redis.ping()
                there.pause()
                for _ in range(30):
                    here.cli("PUBLISH", "c", "x" * 200_000)
                there.resume()
                settle(cluster.nodes)
                ear.subscribe("c")
                assert until(lambda: ear.get_message(timeout=1), "it listens")["type"] == "subscribe"
                here.cli("PUBLISH", "c", "new")
                assert until(lambda: ear.get_message(timeout=1), "it hears")["data"] == b"new"
