"""A TCP proxy whose faults are armed by the test, strike where it says, and are counted.

    async with FaultProxy(("127.0.0.1", server.port), seed=7) as proxy:
        proxy.arm(Jitter(0.005, 0.03))
        lost = proxy.arm(DropReply(b"EVALSHA"), times=1)
        ...

Leaving with a fault that was armed and never fired fails, unless something else has failed already.
"""

from __future__ import annotations

import asyncio
from collections import Counter
from pathlib import Path
from typing import TYPE_CHECKING, Self

from tests.testkit.fault_link import Link, Side
from tests.testkit.faults import (
    DOWN,
    UP,
    Armed,
    Blackhole,
    Cut,
    Delay,
    Direction,
    DropReply,
    Fault,
    Freeze,
    Jitter,
    MidFrame,
    Refuse,
    Reset,
    Trickle,
)

if TYPE_CHECKING:
    from types import TracebackType

    from tests.testkit.fault_strikes import How
    from tests.testkit.faults import Connections

__all__ = [
    "Armed",
    "Blackhole",
    "Cut",
    "Delay",
    "Direction",
    "DropReply",
    "Fault",
    "FaultProxy",
    "Freeze",
    "Jitter",
    "MidFrame",
    "Refuse",
    "Reset",
    "Trickle",
]

Upstream = tuple[str, int] | str | Path


class FaultProxy:
    """Listens on loopback and passes on to `upstream`: (host, port), or the path of a unix socket.

    `port` 0: any free one. All chance comes from `seed`.
    """

    def __init__(self, upstream: Upstream, *, host: str = "127.0.0.1", port: int = 0, seed: int = 0) -> None:
        self.host = host
        self.port = port
        self.connections = 0
        """Accepted so far; the next has this index."""
        self.unreachable = 0
        """Connections that were reset because the upstream itself could not be reached."""
        self._upstream = upstream
        self._seed = seed
        self._armed: list[Armed] = []
        self._cuts: Counter[str] = Counter()
        self._links: dict[asyncio.Task[None], Link] = {}
        self._server: asyncio.Server | None = None
        self._broken: list[BaseException] = []

    @property
    def hits(self) -> Counter[str]:
        """How often each kind of fault has fired; `cut_all` and `reset_all` count as `cut` and `reset`."""
        counted = Counter(self._cuts)
        for armed in self._armed:
            counted[armed.fault.kind] += armed.hits
        return +counted

    @property
    def open(self) -> int:
        """Connections that are open now."""
        return len(self._links)

    def arm(
        self,
        fault: Fault,
        *,
        direction: Direction | None = None,
        connections: Connections = None,
        probability: float = 1.0,
        times: int | None = None,
    ) -> Armed:
        """From now on, on open connections too, until it is disarmed.

        `direction`: only this one; None for those of the fault. `connections`: an index, a set or range of them, or a
        test of the index. `probability`: of each chunk, and for black holes, freezes, torn frames and refusals of each
        connection. `times`: at most so many hits.
        """
        if not 0 < probability <= 1:
            raise ValueError(f"a probability above 0 and up to 1, not {probability}")
        ways = fault.ways if direction is None else {"up": UP, "down": DOWN}[direction]
        armed = Armed(
            fault,
            ways=ways,
            connections=connections,
            probability=probability,
            times=times,
            seed=f"{self._seed}/{len(self._armed)}",
        )
        self._armed.append(armed)
        return armed

    def disarm_all(self) -> None:
        """Disarm whatever is armed; hits stay counted."""
        for armed in self._armed:
            armed.disarm()

    def expect_hits(self) -> None:
        """AssertionError that names the faults which were armed, then or now, and never fired."""
        idle = [repr(armed) for armed in self._armed if not armed.hits]
        if idle:
            raise AssertionError(f"armed but never fired: {'; '.join(idle)}")

    def cut_all(self) -> int:
        """A FIN to both sides of every open connection, at once; how many there were."""
        return self._sever_all("fin", "cut")

    def reset_all(self) -> int:
        """A RST to both sides of every open connection, at once; how many there were."""
        return self._sever_all("rst", "reset")

    async def listen(self) -> None:
        """Accept connections (again), on the same port as before."""
        self._server = await asyncio.start_server(self._accept, self.host, self.port)
        self.port = self._server.sockets[0].getsockname()[1]

    def redirect(self, upstream: Upstream) -> None:
        """Connections accepted from now on go there; those that are open stay where they are until they are cut."""
        self._upstream = upstream

    def stop_listening(self) -> None:
        """The system refuses new connections from now on, uncounted; open ones go on."""
        assert self._server is not None
        self._server.close()

    async def __aenter__(self) -> Self:
        await self.listen()
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        """Reset what is open and end every task; then a fault that never fired raises."""
        self.stop_listening()
        for task in tuple(self._links):
            task.cancel()
        if self._links:
            await asyncio.wait(tuple(self._links))
        if error is None:
            if self._broken:
                raise self._broken[0]
            self.expect_hits()

    def _sever_all(self, how: How, kind: str) -> int:
        for link in self._links.values():
            link.sever(how)
        self._cuts[kind] += len(self._links)
        return len(self._links)

    def _accept(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        link = Link(self.connections, Side(reader, writer), self._connect, self._armed)
        self.connections += 1
        task = asyncio.create_task(link.run(), name=f"proxied connection {self.connections}")
        self._links[task] = link
        task.add_done_callback(self._ended)

    def _ended(self, task: asyncio.Task[None]) -> None:
        del self._links[task]
        if not task.cancelled() and (error := task.exception()) is not None:
            self._broken.append(error)

    async def _connect(self) -> Side:
        try:
            if isinstance(self._upstream, tuple):
                return Side(*await asyncio.open_connection(*self._upstream))
            return Side(*await asyncio.open_unix_connection(self._upstream))
        except OSError:
            self.unreachable += 1
            raise
