"""Open subscriptions: from a Valkey connection to the lines of an event stream."""

from __future__ import annotations

import asyncio
from fnmatch import fnmatchcase
from typing import TYPE_CHECKING, Any

from redis.exceptions import ConnectionError as RedisConnectionError

from tests.testkit.upstash.database import next_push
from tests.testkit.upstash.notices import End, Notices

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable, Iterator

    from redis.asyncio.connection import AbstractConnection

    from tests.testkit.upstash.faults import Faults, How


class Upstream:
    """One open subscription. `path` is percent-decoded: `/subscribe/chat`."""

    def __init__(self, path: str, connection: AbstractConnection, faults: Faults) -> None:
        self.path = path
        self._connection = connection
        self._notices = Notices(path, faults)
        self._cut: asyncio.Future[How] = asyncio.get_running_loop().create_future()

    def cut(self, how: How = "close") -> None:
        """End it now: the body's orderly end (`close`) or a TCP reset (`reset`)."""
        if not self._cut.done():
            self._cut.set_result(how)

    def freeze(self) -> None:
        """Say nothing any more, for ever; the connection stays open."""
        self._notices.frozen = True

    async def serve(
        self,
        send: Callable[[bytes], Awaitable[None]],
        gone: Awaitable[None],
        opened: Callable[[], None],
    ) -> How | None:
        """Send until it is cut (returns how) or the client is gone (None); `opened()` at each acknowledgement."""
        work: list[asyncio.Future[None]] = [
            asyncio.ensure_future(job) for job in (gone, self._listen(opened), self._write(send))
        ]
        try:
            waited: list[asyncio.Future[Any]] = [self._cut, *work]
            await asyncio.wait(waited, return_when=asyncio.FIRST_COMPLETED)
        finally:
            self._notices.close()
            for task in work:
                task.cancel()
            await asyncio.gather(*work, return_exceptions=True)
        return self._cut.result() if self._cut.done() else None

    async def _listen(self, opened: Callable[[], None]) -> None:
        try:
            while True:
                push = await next_push(self._connection)
                if push[0].endswith(b"subscribe"):
                    opened()
                self._notices.push(push)
        except RedisConnectionError:
            # The server behind is gone, and with it the subscription.
            self.cut()

    async def _write(self, send: Callable[[bytes], Awaitable[None]]) -> None:
        while True:
            item = await self._notices.next()
            if isinstance(item, End):
                self.cut(item.how)
                return
            await send(item)


class Upstreams:
    """Those open now, in the order they were opened."""

    def __init__(self, faults: Faults) -> None:
        self._faults = faults
        self._open: dict[Upstream, None] = {}

    def __len__(self) -> int:
        return len(self._open)

    def __iter__(self) -> Iterator[Upstream]:
        return iter(list(self._open))

    def add(self, upstream: Upstream) -> None:
        self._open[upstream] = None

    def discard(self, upstream: Upstream) -> None:
        self._open.pop(upstream, None)

    def cut(self, match: str = "*", how: How = "close") -> int:
        """Cut all whose path matches the glob; how many. Counted as hits of the fault `cut`."""
        chosen = self._matching(match)
        for upstream in chosen:
            upstream.cut(how)
        self._faults.hits["cut"] += len(chosen)
        return len(chosen)

    def freeze(self, match: str = "*") -> int:
        """Freeze all whose path matches the glob; how many. Counted as hits of the fault `freeze`."""
        chosen = self._matching(match)
        for upstream in chosen:
            upstream.freeze()
        self._faults.hits["freeze"] += len(chosen)
        return len(chosen)

    def _matching(self, match: str) -> list[Upstream]:
        return [upstream for upstream in self if fnmatchcase(upstream.path, match)]
