"""Commands that are asked for in one turn of the event loop travel together: one write, and their replies in order.

A connection of the pool, a write and their time limits cost more than most commands. So what is asked for while a
connection is fetched shares it. A command alone waits for nobody.
"""

from __future__ import annotations

import asyncio
import copy
from collections.abc import Awaitable, Callable, Sequence
from typing import Any

from gapless.log.errors import StoreUnavailable
from gapless.runtime.tasks import end

MOST = 64
"""Commands that travel together; what comes then takes the next connection."""

Command = tuple[Any, ...]


class Together:
    """`reach`: a connection, or StoreUnavailable. `exchange`: the reply to each command, or the error that it was."""

    def __init__(
        self, reach: Callable[[], Awaitable[Any]], exchange: Callable[[Any, Sequence[Command]], Awaitable[list[Any]]]
    ) -> None:
        self._reach = reach
        self._exchange = exchange
        self._open: _Load | None = None

    async def ask(self, command: Command) -> Any:
        """The reply. Raises the error that it was, and StoreUnavailable where there is none."""
        load = self._open
        if load is None or len(load.asked) >= MOST:
            load = self._open = _Load()
            load.task = asyncio.create_task(self._run(load))
        reply = asyncio.get_running_loop().create_future()
        load.asked.append((command, reply))
        try:
            return await reply
        except asyncio.CancelledError:
            if load.is_forsaken():
                self._shut(load)
                await end(load.task)  # a task that outlives its request is frozen with it on a function
            raise

    async def _run(self, load: _Load) -> None:
        try:
            connection = await self._reach_for(load)
            load.answer(await self._exchange(connection, [command for command, _ in load.asked]))
        except StoreUnavailable as error:
            load.answer([copy.copy(error) for _ in load.asked])  # one of its own for each: who catches it changes it
        except Exception as error:  # a defect is told to those who wait
            load.answer([error for _ in load.asked])
        except asyncio.CancelledError:
            load.answer([StoreUnavailable("it was broken off", outcome_unknown=True) for _ in load.asked])
            raise

    async def _reach_for(self, load: _Load) -> Any:
        """A connection; what is asked for until it is there still goes with it."""
        try:
            return await self._reach()
        finally:
            self._shut(load)

    def _shut(self, load: _Load) -> None:
        """No more commands go with it."""
        if self._open is load:
            self._open = None


class _Load:
    """Commands that travel together, each with the future of its reply."""

    __slots__ = ("asked", "task")

    def __init__(self) -> None:
        self.asked: list[tuple[Command, asyncio.Future[Any]]] = []
        self.task: asyncio.Task[None]

    def answer(self, replies: Sequence[Any]) -> None:
        """Tell each who still waits."""
        for (_, waiting), reply in zip(self.asked, replies, strict=True):
            if waiting.done():
                continue
            if isinstance(reply, Exception):
                waiting.set_exception(reply)
            else:
                waiting.set_result(reply)

    def is_forsaken(self) -> bool:
        """Whether nobody waits any more."""
        return all(waiting.done() for _, waiting in self.asked)
