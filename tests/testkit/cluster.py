"""A real cluster of Valkey nodes on loopback, with replicas that take over."""

from __future__ import annotations

from contextlib import ExitStack
from typing import TYPE_CHECKING, Any, Self

from redis import Redis
from redis.exceptions import ConnectionError, TimeoutError

from tests.testkit.alarm import until
from tests.testkit.port import free_port
from tests.testkit.valkey import BOOKKEEPING, SUBSCRIPTIONS, Counted, Valkey, counting, start_valkey

if TYPE_CHECKING:
    from collections.abc import Collection, Sequence
    from contextlib import AbstractContextManager
    from pathlib import Path

SLOTS = 16_384


class Cluster:
    """Primaries first, then replicas (the i-th replica follows primary i modulo n)."""

    def __init__(self, nodes: list[Valkey], primaries: int) -> None:
        self.nodes = nodes
        self.primaries = primaries

    @property
    def url(self) -> str:
        """`redis://127.0.0.1:…` of the first node that is alive."""
        return next(node.tcp_url for node in self.nodes if node.alive)

    def owner(self, key: str) -> Valkey:
        """The node that serves `key` now, as a live node sees it."""
        slot = self._ask("CLUSTER", "KEYSLOT", key)
        for first, last, (_, port, *_rest), *_replicas in self._ask("CLUSTER", "SLOTS"):
            if first <= slot <= last:
                return next(node for node in self.nodes if node.port == port)
        raise LookupError(f"no node serves slot {slot}")

    def wait_ok(self, *, alarm: float = 60.0) -> None:
        """Return when every live node says that all slots are served and agrees on who serves them.

        A look asks each node twice; a node that has just started serves nothing for two seconds.
        """
        until(self._agreed, "the cluster's nodes agree and serve all slots", alarm=alarm, look=0.1)

    def wait_moved(self, key: str, away_from: Valkey, *, alarm: float = 60.0) -> Valkey:
        """Return the node that took over `key` after `away_from` was killed."""
        until(lambda: self.owner(key) is not away_from, f"another node serves {key!r}", alarm=alarm)
        self.wait_ok(alarm=alarm)
        return self.owner(key)

    def commandstats(self) -> dict[str, int]:
        """The sum of `Valkey.commandstats` over all live primaries: what was asked, not what was copied."""
        total = Counted()
        for node in self.nodes:
            if node.alive and node.cli("ROLE")[0] == "master":
                total.update(node.commandstats())
        return dict(total)

    def count_commands(
        self, *, ignore: Collection[str] = BOOKKEEPING | SUBSCRIPTIONS
    ) -> AbstractContextManager[Counted]:
        """As `Valkey.count_commands`, over all nodes. No node may die or take over meanwhile."""
        return counting(self.commandstats, ignore)

    def close(self) -> None:
        """Kill all nodes."""
        for node in self.nodes:
            node.close()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def _ask(self, *args: str) -> Any:
        """The reply of the first live node."""
        return next(node for node in self.nodes if node.alive).cli(*args)

    def _agreed(self) -> bool:
        try:
            views = [_view(node) for node in self.nodes if node.alive]
        except (ConnectionError, TimeoutError):
            return False
        return all(view == views[0] and view[0] for view in views)


def settle(nodes: Sequence[Valkey]) -> None:
    """Return when nothing that was published before is on its way from one of these nodes to another any more.

    What a node tells another one comes in order: where a word of each has come, all that it said before it has.
    """
    with ExitStack() as stack:
        ears = [stack.enter_context(stack.enter_context(Redis.from_url(node.tcp_url)).pubsub()) for node in nodes]
        for ear in ears:
            ear.subscribe("settled")
            until(lambda: ear.get_message(timeout=1), "it listens")  # noqa: B023
        for node in nodes:
            node.cli("PUBLISH", "settled", node.port)
        for ear in ears:
            for _ in nodes:
                until(lambda: ear.get_message(timeout=1), "each node's word has come")  # noqa: B023
            ear.unsubscribe()  # or the server would count it for a moment longer
            until(lambda: ear.get_message(timeout=1), "it listens no more")  # noqa: B023


def _view(node: Valkey) -> tuple[bool, tuple[tuple[int, int, int], ...]]:
    """Is all well, and which port serves which slots, as `node` sees it."""
    info: str = node.cli("CLUSTER", "INFO")
    ranges = sorted((first, last, primary[1]) for first, last, primary, *_ in node.cli("CLUSTER", "SLOTS"))
    return "cluster_state:ok" in info, tuple(ranges)


def start_cluster(folder: Path, n: int = 3, *, replicas: int = 0, node_timeout_ms: int = 1500) -> Cluster:
    """Start `n` primaries and `replicas` replicas in all, wait until they serve, return the cluster.

    A node that is silent for `node_timeout_ms` is taken for dead; its replica takes over soon after.
    Without a replica the rest goes on serving its own slots.
    """
    cluster = Cluster([], n)
    try:
        for i in range(n + replicas):
            cluster.nodes.append(_start_node(folder / f"node{i}", node_timeout_ms))
        _introduce(cluster)
        for i, replica in enumerate(cluster.nodes[n:]):
            replica.cli("CLUSTER", "REPLICATE", cluster.nodes[i % n].cli("CLUSTER", "MYID"))
        cluster.wait_ok()
        for replica in cluster.nodes[n:]:
            until(lambda: "master_link_status:up" in replica.cli("INFO", "replication"), "replica linked")  # noqa: B023
    except BaseException:
        cluster.close()
        raise
    return cluster


def _start_node(folder: Path, node_timeout_ms: int) -> Valkey:
    return start_valkey(
        folder,
        *("--cluster-enabled", "yes", "--cluster-node-timeout", str(node_timeout_ms)),
        *("--cluster-port", str(free_port()), "--cluster-require-full-coverage", "no"),
        *("--cluster-allow-replica-migration", "no", "--repl-diskless-sync-delay", "0"),
        port=None,
        unixsocket=False,
    )


def _introduce(cluster: Cluster) -> None:
    """Give each primary its slots and let every node meet every other; wait until all are known."""
    for i, node in enumerate(cluster.nodes):
        node.cli("CLUSTER", "SET-CONFIG-EPOCH", i + 1)
        if i < cluster.primaries:
            first, end = SLOTS * i // cluster.primaries, SLOTS * (i + 1) // cluster.primaries
            node.cli("CLUSTER", "ADDSLOTSRANGE", first, end - 1)
    for node in cluster.nodes:
        for other in cluster.nodes:
            if other is not node:
                bus = other.cli("CONFIG", "GET", "cluster-port")[1]
                node.cli("CLUSTER", "MEET", "127.0.0.1", other.port, bus)
    for node in cluster.nodes:
        until(lambda: _knows(node, len(cluster.nodes)), f"port {node.port} knows all nodes")  # noqa: B023


def _knows(node: Valkey, n: int) -> bool:
    """It has met `n` nodes, itself included, and shaken hands with each."""
    table: str = node.cli("CLUSTER", "NODES")
    return len(table.splitlines()) == n and "handshake" not in table
