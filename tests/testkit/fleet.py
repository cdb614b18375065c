"""Several services on one store, and a front that picks one of them for each request."""

from __future__ import annotations

import asyncio
import random
import re
from collections import Counter
from typing import TYPE_CHECKING, Self

from tests.testkit.listener import Listener
from tests.testkit.relay import pump
from tests.testkit.service import Server, Service

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence

_CONNECTION = re.compile(rb"(?im)^connection:[^\r\n]*\r\n")


class Front:
    """A forwarder on loopback: each connection goes to a backend drawn from a seeded dice.

    A backend that refuses is skipped; with none left the connection is closed unanswered. Each
    connection carries one request (`Connection: close` is put into it), so the draw is per request.
    Nothing else is changed, no forwarding header is added.
    """

    def __init__(self, backends: Callable[[], Sequence[int]], *, seed: int = 1) -> None:
        """`backends` says, at each connection, the loopback ports there are now."""
        self._backends = backends
        self._dice = random.Random(seed)
        self._listener = Listener(self._carry)
        self.hits: Counter[int] = Counter()
        """Requests carried, by backend port."""
        self.refused = 0
        """Connections for which no backend was there."""

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self._listener.port}"

    async def __aenter__(self) -> Self:
        await self._listener.__aenter__()
        return self

    async def __aexit__(self, *_: object) -> None:
        await self._listener.__aexit__()

    async def cut_all(self) -> int:
        """Cut every connection that is open; how many there were."""
        return await self._listener.cut_all()

    async def _carry(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        head = await reader.readuntil(b"\r\n\r\n")
        backend = await self._connect()
        if backend is None:
            self.refused += 1
            return
        line, headers = _CONNECTION.sub(b"", head).split(b"\r\n", 1)
        backend[1].write(line + b"\r\nConnection: close\r\n" + headers)
        await pump((reader, writer), backend)

    async def _connect(self) -> tuple[asyncio.StreamReader, asyncio.StreamWriter] | None:
        ports = list(self._backends())
        self._dice.shuffle(ports)
        for port in ports:
            try:
                connection = await asyncio.open_connection("127.0.0.1", port)
            except OSError:
                continue
            self.hits[port] += 1
            return connection
        return None


class Fleet:
    """`n` services with the same settings, behind `front`. `async with Fleet(3, {...}) as fleet:`"""

    def __init__(
        self,
        n: int,
        env: Mapping[str, str],
        *,
        args: tuple[str, ...] = (),
        server: Server = "gapless",
        seed: int = 1,
    ) -> None:
        self._env, self._args, self._server = dict(env), args, server
        self.services = [self._service() for _ in range(n)]
        self.front = Front(self._ports, seed=seed)

    def _service(self) -> Service:
        return Service(self._env, args=self._args, server=self._server)

    @property
    def url(self) -> str:
        """The front's; a single service's is `fleet.services[i].url`."""
        return self.front.url

    def _ports(self) -> list[int]:
        return [service.port for service in self.services if service.port is not None]

    async def replace(self, i: int) -> Service:
        """SIGKILL service `i`, and put a cold one on a fresh port in its place once it is ready."""
        await self.services[i].akill()
        fresh = self._service()
        await fresh.astart()
        self.services[i] = fresh
        return fresh

    async def __aenter__(self) -> Self:
        try:
            await asyncio.gather(*(service.astart() for service in self.services))
            await self.front.__aenter__()
        except BaseException:
            self._close()
            raise
        return self

    async def __aexit__(self, *_: object) -> None:
        await self.front.__aexit__()
        await asyncio.to_thread(self._close)

    def _close(self) -> None:
        for service in self.services:
            service.close()
