"""Gives each address its turn: in one turn of the event loop every one of them begins a few pieces of work.

The loop does whatever is ready before it looks for more. A client that asks on many connections at once would have all
of it done first, and everybody else's next step would wait for the sum.
"""

from __future__ import annotations

import asyncio
from collections import deque
from collections.abc import Hashable

ALONE = 1.0
"""Seconds without any other name after which a name counts as alone."""


class RoundRobin:
    """The turns of one event loop. `at_once`: pieces of work of one name that begin in a turn; `alone`: where there is
    no other name, which may be more.

    Of who does not wait, only the last name is remembered.
    """

    def __init__(self, at_once: int, alone: int | None = None) -> None:
        self._at_once = at_once
        self._most_alone = at_once if alone is None else alone
        self._last: Hashable = None
        self._last_since = 0.0
        self._loop: asyncio.AbstractEventLoop | None = None
        self._lines: dict[Hashable, _Line] = {}

    async def turn(self, name: Hashable) -> None:
        """Return at once for the first ones of this name; for the next ones in later turns of the loop."""
        loop = asyncio.get_running_loop()
        if loop is not self._loop:  # what waited on another one ended with it
            self._loop, self._lines = loop, {}
            self._last, self._last_since = name, loop.time() - ALONE
        elif name != self._last:
            self._last, self._last_since = name, loop.time()
        line = self._lines.get(name)
        if line is None:
            line = self._lines[name] = _Line()
            loop.call_soon(self._next, loop, name, line)
        if line.begun < self._most(loop) and not line.waiting:
            line.begun += 1
            return
        mine = loop.create_future()
        line.waiting.append(mine)
        await mine

    def _next(self, loop: asyncio.AbstractEventLoop, name: Hashable, line: _Line) -> None:
        """In the turn that begins, those begin who were called in the last one; others are called for the next."""
        line.begun, line.called = line.called, line.call(self._most(loop))
        if line.begun or line.called:
            loop.call_soon(self._next, loop, name, line)
        elif self._lines.get(name) is line:
            del self._lines[name]

    def _most(self, loop: asyncio.AbstractEventLoop) -> int:
        """How many of one name begin in a turn now."""
        return self._most_alone if loop.time() - self._last_since >= ALONE else self._at_once


class _Line:
    """Who waits of one name, and how many have begun in this turn of the loop and are called for the next."""

    __slots__ = ("begun", "called", "waiting")

    def __init__(self) -> None:
        self.begun = self.called = 0
        self.waiting: deque[asyncio.Future[None]] = deque()

    def call(self, most: int) -> int:
        """Let the first ones begin in the next turn; how many they are."""
        called = 0
        while self.waiting and called < most:
            first = self.waiting.popleft()
            if not first.done():  # its caller may have left
                first.set_result(None)
                called += 1
        return called
