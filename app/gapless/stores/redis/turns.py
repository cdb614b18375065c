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

MOST = 64
"""Commands that travel together; what comes then takes the next connection."""

Command = tuple[Any, ...]


class Turns:
    """`reach`: a connection, or StoreUnavailable. `exchange`: the reply to each command, or the error that it was."""

    def __init__(
        self, reach: Callable[[], Awaitable[Any]], exchange: Callable[[Any, Sequence[Command]], Awaitable[list[Any]]]
    ) -> None:
        self._reach = reach
        self._exchange = exchange
        self._open: _Turn | None = None

    async def ask(self, command: Command) -> Any:
        """The reply. Raises the error that it was, and StoreUnavailable where there is none."""
        turn = self._open
        if turn is None or len(turn.asked) >= MOST:
            turn = self._open = _Turn()
            turn.task = asyncio.create_task(self._run(turn))
        reply = asyncio.get_running_loop().create_future()
        turn.asked.append((command, reply))
        try:
            return await reply
        except asyncio.CancelledError:
            turn.forsake()
            raise

    async def _run(self, turn: _Turn) -> None:
        try:
            connection = await self._close(turn)
            turn.answer(await self._exchange(connection, [command for command, _ in turn.asked]))
        except StoreUnavailable as error:
            turn.answer([copy.copy(error) for _ in turn.asked])  # one of its own for each: who catches it changes it
        except Exception as error:  # a defect is told to those who wait
            turn.answer([error for _ in turn.asked])

    async def _close(self, turn: _Turn) -> Any:
        """A connection; what is asked for until it is there still goes with this turn."""
        try:
            return await self._reach()
        finally:
            if self._open is turn:
                self._open = None


class _Turn:
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

    def forsake(self) -> None:
        """One no longer waits. For nobody nothing is asked."""
        if all(waiting.done() for _, waiting in self.asked):
            self.task.cancel()
