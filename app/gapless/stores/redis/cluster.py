"""A Redis Cluster as a line: one pool per node, and a map that says which node holds which slots.

redis-py's own cluster client is not used. It refuses the thirty-third command at once instead of letting it wait, sends
its first command to any node, can't say whether a lost command was ever sent, and closes all connections when one shard
is down. Its parser, connections, pools and slot arithmetic are used.
"""

from __future__ import annotations

import asyncio
import logging
from itertools import count
from typing import Any, NamedTuple

from redis import exceptions
from redis.asyncio import Connection
from redis.crc import key_slot

from gapless.log.errors import StoreUnavailable
from gapless.runtime.tasks import end
from gapless.stores import keyspace
from gapless.stores.redis.lines import Standalone, Unreachable
from gapless.stores.redis.url import Place
from gapless.stores.refusals import Later
from gapless.stores.topic import CLOSED
from gapless.stores.traffic import Traffic

REDIRECTIONS = 5
"""How often a command is sent elsewhere before the nodes are taken to disagree."""
RELEARN = 0.2
"""Seconds between two looks at the map: while a node is down every command to it asks for one."""

_log = logging.getLogger("gapless.store")
_KEYLESS = frozenset({"PING", "PUBLISH"})
_SCRIPTS = frozenset({"EVAL", "EVALSHA"})


class Address(NamedTuple):
    """Where a node is."""

    host: str
    port: int


class Slots(NamedTuple):
    """A range of slots, its primary first and then its replicas."""

    first: int
    last: int
    nodes: tuple[Address, ...]


class Cluster:
    """Commands go to the node that holds their keys; word of what is published reaches every node.

    `alone`: see `Pool`.
    """

    def __init__(self, place: Place, *, alone: bool = False, traffic: Traffic | None = None) -> None:
        self._place = place
        self._traffic = traffic
        self._alone = alone
        self._seed = Address(place.host, place.port)
        self._lines: dict[Address, Standalone] = {}
        self._reached: set[Address] = set()
        self._map: list[Slots] = []
        self._stale = True
        self._looked_at = -RELEARN
        self._looking: asyncio.Task[None] | None = None
        self._turns = count()
        self._closed = False

    async def call(self, command: tuple[Any, ...]) -> Any:
        """A node that redirects has done nothing."""
        address = await self._find(command)
        asking = False
        for _ in range(REDIRECTIONS):
            try:
                reply = await self._at(address).call(command, asking=asking)
                self._reached.add(address)
                return reply
            except exceptions.MovedError as error:
                address, asking = _told(error, address), False
                self._stale = True
            except exceptions.AskError as error:
                address, asking = _told(error, address), True
            except (exceptions.ClusterDownError, exceptions.TryAgainError) as error:
                self._stale = True
                raise Later(f"the cluster can't serve this channel now: {error}") from None
            except exceptions.ReadOnlyError:  # demoted: the map is wrong
                self._stale = True
                raise
            except StoreUnavailable as error:
                self._stale = True
                raise self._explained(address, error) from None
        raise StoreUnavailable("the cluster's nodes do not agree on who holds this channel")

    def _explained(self, address: Address, error: StoreUnavailable) -> StoreUnavailable:
        """Nodes behind a router or in containers announce addresses that are good among themselves alone."""
        if not isinstance(error, Unreachable) or address in (*self._reached, self._seed):
            return error
        return Unreachable(
            f"the cluster announces {address.host}:{address.port}, which can't be reached from here; if that node is "
            "alive, set cluster-announce-ip on it, or cluster-announce-hostname with cluster-preferred-endpoint-type"
        )

    async def scan(self, cursor: str, pattern: str) -> tuple[list[str], str | None]:
        """One primary after the other; the cursor holds which, and where in it."""
        primaries = await self._primaries()
        place, turn = divmod(int(cursor), len(primaries))
        node = self._at(primaries[turn])
        keys, following = keyspace.read_scan(
            await node.call(("SCAN", str(place), "MATCH", pattern, "COUNT", keyspace.PAGE))
        )
        if following is not None:
            return keys, str(int(following) * len(primaries) + turn)
        return keys, str(turn + 1) if turn + 1 < len(primaries) else None

    async def listen(self) -> Connection:
        """Another node at each turn, so that a dead one is left behind."""
        await self._ready()
        nodes = self._nodes()
        return await self._at(nodes[next(self._turns) % len(nodes)]).listen()

    async def close(self) -> None:
        self._closed = True
        if self._looking is not None:
            await end(self._looking)
        for line in self._lines.values():
            await line.close()

    # --- who holds what

    async def _find(self, command: tuple[Any, ...]) -> Address:
        """The node for a command: the primary of its key's slot, or any primary in turn."""
        name = command[0]
        if name in _KEYLESS:
            primaries = await self._primaries()
            return primaries[next(self._turns) % len(primaries)]
        await self._ready()
        slot = key_slot(str(command[3 if name in _SCRIPTS else 1]).encode())
        for slots in self._map:
            if slots.first <= slot <= slots.last:
                return slots.nodes[0]
        self._stale = True
        raise StoreUnavailable("the cluster can't serve this channel now: nobody holds its slot")

    async def _primaries(self) -> list[Address]:
        await self._ready()
        return sorted({slots.nodes[0] for slots in self._map})

    def _nodes(self) -> list[Address]:
        return sorted({address for slots in self._map for address in slots.nodes})

    async def _ready(self) -> None:
        """Return once there is a map. A doubtful one is looked at again meanwhile: nodes redirect where it is wrong."""
        loop = asyncio.get_running_loop()
        if self._stale and self._looking is None and loop.time() - self._looked_at >= RELEARN:
            self._looked_at = loop.time()
            self._looking = loop.create_task(self._look(), name="gapless cluster map")
            self._looking.add_done_callback(self._looked)
        if not self._map and self._looking is not None:
            await asyncio.wait([self._looking])
        if not self._map:
            raise StoreUnavailable("no node of the cluster can be reached")

    async def _look(self) -> None:
        """Ask one node after the other for the map."""
        known = self._nodes()
        turn = next(self._turns) % len(known) if known else 0
        for address in [*known[turn:], *known[:turn], self._seed]:
            try:
                reply = await self._at(address).call(("CLUSTER", "SLOTS"))
            except (StoreUnavailable, exceptions.ResponseError):
                continue
            if drawn := _read_map(reply, address):
                await self._draw(drawn)
                return

    def _looked(self, looking: asyncio.Task[None]) -> None:
        self._looking = None
        if not looking.cancelled() and (error := looking.exception()) is not None:
            _log.error("the cluster's map can't be read", exc_info=error)

    async def _draw(self, drawn: list[Slots]) -> None:
        """Go by this map, and let go of the nodes that are gone from it."""
        self._map, self._stale = drawn, False
        there = {self._seed, *self._nodes()}
        self._reached &= there
        for address in self._lines.keys() - there:  # kept until it is closed: a close meanwhile sees to it
            await self._lines[address].close()
            del self._lines[address]

    def _at(self, address: Address) -> Standalone:
        """The way to a node."""
        if self._closed:
            raise StoreUnavailable(CLOSED)
        if address not in self._lines:
            place = self._place._replace(host=address.host, port=address.port)
            self._lines[address] = Standalone(place, alone=self._alone, traffic=self._traffic)
        return self._lines[address]


def _told(error: exceptions.AskError, by: Address) -> Address:
    """Where a redirection leads; without a host, to another port of the same."""
    return Address(error.host or by.host, int(error.port))


def _read_map(reply: Any, told_by: Address) -> list[Slots]:
    """What CLUSTER SLOTS answered. A node that does not know its own name is where it was asked."""
    drawn = []
    for first, last, *nodes in reply:
        addresses = tuple(Address(host.decode() if host else told_by.host, int(port)) for host, port, *_ in nodes)
        drawn.append(Slots(int(first), int(last), addresses))
    return drawn
