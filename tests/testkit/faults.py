"""What can go wrong on a TCP connection, and when: the faults of `fault_proxy.FaultProxy`, armed and counted.

`up` is from the client to the upstream, `down` the way back. A chunk is what one read of a socket gave.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Container
from dataclasses import dataclass
from random import Random
from typing import ClassVar, Literal

from tests.testkit.alarm import Alarm

Direction = Literal["up", "down"]
Connections = int | Container[int] | Callable[[int], bool] | None

BOTH: frozenset[Direction] = frozenset({"up", "down"})
UP: frozenset[Direction] = frozenset({"up"})
DOWN: frozenset[Direction] = frozenset({"down"})


@dataclass(frozen=True)
class Fault:
    """`kind` names it in `FaultProxy.hits`; `ways` are the directions it works in unless armed for one."""

    kind: ClassVar[str] = ""
    ways: ClassVar[frozenset[Direction]] = BOTH


@dataclass(frozen=True)
class Delay(Fault):
    """Each chunk arrives `seconds` later, in order; chunks travel at the same time. A hit a chunk."""

    seconds: float
    kind: ClassVar[str] = "delay"


@dataclass(frozen=True)
class Jitter(Fault):
    """As Delay, by a time drawn between `low` and `high` seconds for each chunk; order is kept. A hit a chunk."""

    low: float
    high: float
    kind: ClassVar[str] = "jitter"


@dataclass(frozen=True)
class Trickle(Fault):
    """`size` bytes, then `interval` seconds, and so on. A hit a chunk."""

    size: int
    interval: float
    kind: ClassVar[str] = "trickle"
    ways: ClassVar[frozenset[Direction]] = DOWN


@dataclass(frozen=True)
class Cut(Fault):
    """The next chunk is dropped and both sides get a FIN. A hit a connection."""

    kind: ClassVar[str] = "cut"


@dataclass(frozen=True)
class Reset(Fault):
    """The next chunk is dropped and both sides get a RST. A hit a connection."""

    kind: ClassVar[str] = "reset"


@dataclass(frozen=True)
class MidFrame(Fault):
    """Exactly `after` bytes pass, or all up to the end of the first match of `at`; then FIN, or RST with `reset`.

    Bytes count from the connection's start, or from the arming where it was open already. A hit a connection.
    """

    after: int | None = None
    at: bytes | None = None
    reset: bool = False
    kind: ClassVar[str] = "midframe"
    ways: ClassVar[frozenset[Direction]] = DOWN

    def __post_init__(self) -> None:
        if (self.after is None) == (not self.at):
            raise ValueError("either after so many bytes, or at a pattern")


@dataclass(frozen=True)
class DropReply(Fault):
    """The request goes through, its reply is swallowed, then the client gets a FIN (RST with `reset`).

    `request`: only one that contains these bytes. The reply counts as whole after `quiet` seconds without a byte.
    For one request at a time on a connection (HTTP/1.1, plain RESP): earlier replies still on their way would be
    swallowed too. A hit a reply.
    """

    request: bytes = b""
    quiet: float = 0.01
    reset: bool = False
    kind: ClassVar[str] = "dropreply"
    ways: ClassVar[frozenset[Direction]] = UP


@dataclass(frozen=True)
class Blackhole(Fault):
    """Bytes are taken and go nowhere; TCP stays open, also when a side leaves. New connections are accepted.

    A connection that fell in stays in, whatever is disarmed. A hit a connection, at the first bytes swallowed or at
    its acceptance.
    """

    kind: ClassVar[str] = "blackhole"


@dataclass(frozen=True)
class Freeze(Fault):
    """Bytes wait until the fault is disarmed, and then go on: a route that is down and heals. A hit a connection."""

    kind: ClassVar[str] = "freeze"


@dataclass(frozen=True)
class Refuse(Fault):
    """A connection is accepted and reset at once, before the upstream hears of it. A hit a connection."""

    kind: ClassVar[str] = "refuse"
    ways: ClassVar[frozenset[Direction]] = UP


class Armed:
    """A fault that is armed: where, how often, and how often it has fired."""

    def __init__(
        self,
        fault: Fault,
        *,
        ways: frozenset[Direction],
        connections: Connections,
        probability: float,
        times: int | None,
        seed: str,
    ) -> None:
        self.fault = fault
        self.hits = 0
        self.lifted = asyncio.Event()
        """Set once it is disarmed."""
        self.ways = ways
        self._connections = connections
        self._probability = probability
        self._times = times
        self._claims = 0
        self._seed = seed
        self._dice: dict[tuple[int, Direction], Random] = {}
        self._changed = asyncio.Event()

    def __repr__(self) -> str:
        where = "" if self._connections is None else f" on connections {self._connections!r}"
        return f"{self.fault!r} {' and '.join(sorted(self.ways))}{where}"

    def disarm(self) -> None:
        """It strikes no more; what it holds goes on. Its hits still count."""
        self.lifted.set()

    async def fired(self, count: int = 1, *, alarm: float = 30.0) -> None:
        """Wait until it has `count` hits; Alarm after `alarm` seconds."""
        try:
            async with asyncio.timeout(alarm):
                while self.hits < count:
                    self._changed.clear()
                    await self._changed.wait()
        except TimeoutError:
            raise Alarm(f"{self!r} fired {self.hits} times within {alarm:g} s, wanted {count}") from None

    # For links

    def aims_at(self, link: int, way: Direction) -> bool:
        """It may strike this connection in this direction now, if the dice say so."""
        if self.lifted.is_set() or way not in self.ways or not self._left():
            return False
        match self._connections:
            case None:
                return True
            case int(number):
                return link == number
            case chosen if callable(chosen):
                return bool(chosen(link))
            case chosen:
                return link in chosen

    def strikes(self, link: int, way: Direction) -> bool:
        """`aims_at`, and the dice of this connection and direction fall for it."""
        return self.aims_at(link, way) and self.dice(link, way).random() < self._probability

    def dice(self, link: int, way: Direction) -> Random:
        """Chance by seed, fault, connection and direction: whatever the others do, it falls the same."""
        if (link, way) not in self._dice:
            self._dice[link, way] = Random(f"{self._seed}/{link}/{way}")
        return self._dice[link, way]

    def hit(self) -> None:
        self.hits += 1
        self._changed.set()

    def claim(self) -> None:
        """A hit that is bound to come."""
        self._claims += 1

    def release(self) -> None:
        """It came, or will not."""
        self._claims -= 1

    def _left(self) -> bool:
        return self._times is None or self.hits + self._claims < self._times
