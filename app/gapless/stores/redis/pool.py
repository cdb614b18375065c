"""The connections of one process to one server: few; those that work come first; none stays idle for long.

redis-py's own pools put a refused connection before those that work, and never close one. A second process on a small
plan then finds no free connection.
"""

from __future__ import annotations

import asyncio
from collections import deque
from collections.abc import Callable
from typing import Any, NamedTuple

from redis import exceptions

IDLE_CHECK_AFTER = 5.0
"""Seconds of rest after which a connection must answer a PING before it is used: a process that was frozen, or a route
that is gone, says nothing of a peer that has closed, and what is sent to it might have been written."""
KEPT = 20.0
"""Seconds of rest after which a connection is closed: longer than the pause between two rechecks, which keep one."""
FULL = 1.0
"""Seconds for which a server is taken for full after it has refused a connection."""
RENEWED = 0.5
"""Seconds between two times that all connections are let go: a server that stays read-only must not be stormed."""

LOST = (exceptions.ConnectionError, exceptions.TimeoutError, OSError)


class Resting(NamedTuple):
    """A connection that nobody uses, and since when (the loop's time)."""

    connection: Any
    since: float


class Pool:
    """At most `most` connections. `make`: one that is not connected yet. `patience`: seconds that a caller waits.

    `alone`: the process is frozen after each request, so no timer may be left behind. What has rested for long is then
    closed when the next connection comes back, and the one that was used last serves the next request.
    """

    def __init__(self, make: Callable[[], Any], most: int, patience: float, *, alone: bool = False) -> None:
        self._make = make
        self._maximum = most
        self._patience = patience
        self._alone = alone
        self._resting: list[Resting] = []
        self._used: set[Any] = set()
        self._old: set[Any] = set()
        self._waiting: deque[asyncio.Future[Any]] = deque()
        self._renewed_at = -RENEWED
        self._full_until = 0.0
        self._tidying: asyncio.TimerHandle | None = None
        self._closed = False

    async def take(self) -> Any:
        """A connection that answers: one that rests, else a new one, else the next that is given back.

        Raises what redis-py does. A refusal of a new one counts only where there is no other to wait for.
        """
        end = asyncio.get_running_loop().time() + self._patience
        while True:
            while self._resting:
                connection = self._resting.pop().connection
                if await self._answers(connection):
                    return connection
            refusal: Exception = exceptions.ConnectionError("No connection available.")
            if len(self._used) < self._maximum and not (self._used and self._is_full()):
                try:
                    return await self._open()
                except LOST as error:
                    if not self._used:
                        raise
                    refusal = error
            given = await self._next(end, refusal)
            if given is not None:
                return given

    async def give(self, connection: Any) -> None:
        """Give a connection back for others. One that is broken or led to the wrong server is closed."""
        self._used.discard(connection)
        good = connection.is_connected and connection not in self._old and not self._closed
        self._old.discard(connection)
        if not good:
            await connection.disconnect(nowait=True)
        if not self._hand(connection if good else None) and good:
            self._resting.append(Resting(connection, asyncio.get_running_loop().time()))
            self._tidy()

    def drop(self, connection: Any) -> None:
        """It is closed once it is given back."""
        self._old.add(connection)

    def full(self) -> None:
        """The server takes no more connections: for a while, a task that wants one waits for one that is there."""
        self._full_until = asyncio.get_running_loop().time() + FULL

    def _is_full(self) -> bool:
        return asyncio.get_running_loop().time() < self._full_until

    def _hand(self, connection: Any) -> bool:
        """To the first who waits: a connection, or None, which is room for one. False where nobody does."""
        while self._waiting:
            waiter = self._waiting.popleft()
            if not waiter.done():
                if connection is not None:
                    self._used.add(connection)
                waiter.set_result(connection)
                return True
        return False

    def renew(self) -> None:
        """They lead to a server that can't serve: the next task connects anew, and so looks the name up."""
        now = asyncio.get_running_loop().time()
        if now - self._renewed_at < RENEWED:
            return
        self._renewed_at = now
        self._old |= self._used
        self._close_resting()

    async def close(self) -> None:
        """Close those that rest at once, the others as they come back."""
        self._closed = True
        if self._tidying is not None:
            self._tidying.cancel()
        self._close_resting()
        for connection in tuple(self._used):
            await connection.disconnect(nowait=True)

    async def _open(self) -> Any:
        connection = self._make()
        self._used.add(connection)
        try:
            await connection.connect()
        except BaseException:
            self._used.discard(connection)
            await connection.disconnect(nowait=True)
            self._hand(None)
            raise
        return connection

    async def _answers(self, connection: Any) -> bool:
        """Whether it may be used. One that is silent says as much of those that have rested longer."""
        self._used.add(connection)
        try:
            if connection.is_connected and not connection._writer.is_closing() and not await connection.can_read():
                await connection.check_health()
                return True
            self._used.discard(connection)
            await connection.disconnect(nowait=True)
        except (*LOST, RuntimeError):  # uvloop refuses to write to what was closed a moment ago
            self._used.discard(connection)
            self._close_resting()
            await connection.disconnect(nowait=True)
        except BaseException:
            await self.give(connection)
            raise
        return False

    async def _next(self, end: float, refusal: Exception) -> Any:
        """What is given back: a connection, or None, which is room for a new one."""
        waiter = asyncio.get_running_loop().create_future()
        self._waiting.append(waiter)
        try:
            async with asyncio.timeout_at(end):
                return await waiter
        except BaseException as error:
            if waiter.done() and not waiter.cancelled():  # handed to who has left: the next one's
                if waiter.result() is None:
                    self._hand(None)
                else:
                    await self.give(waiter.result())
            if isinstance(error, TimeoutError):
                raise refusal from None
            raise

    def _tidy(self) -> None:
        """Close what has rested for long, and come back for the rest."""
        loop = asyncio.get_running_loop()
        while self._resting and loop.time() - self._resting[0].since >= KEPT:
            self._resting.pop(0).connection._close()
        if self._tidying is not None:
            self._tidying.cancel()
            self._tidying = None
        if self._resting and not self._alone:
            self._tidying = loop.call_at(self._resting[0].since + KEPT, self._tidy)

    def _close_resting(self) -> None:
        while self._resting:
            self._resting.pop().connection._close()
