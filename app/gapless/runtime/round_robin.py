"""Gives each address its turn: in one turn of the event loop every one of them begins one piece of work.

The loop does whatever is ready before it looks for more. A client that asks on many connections at once would have all
of it done first, and everybody else's next step would wait for the sum.
"""

from __future__ import annotations

import asyncio
from collections import deque
from collections.abc import Hashable


class RoundRobin:
    """The turns of one event loop. Nothing is remembered of who does not wait."""

    def __init__(self) -> None:
        self._loop: asyncio.AbstractEventLoop | None = None
        self._waiting: dict[Hashable, deque[asyncio.Future[None]]] = {}

    async def turn(self, name: Hashable) -> None:
        """Return at once for the first of this name; for the next ones in later turns of the loop, one in each."""
        loop = asyncio.get_running_loop()
        if loop is not self._loop:  # what waited on another one ended with it
            self._loop, self._waiting = loop, {}
        waiting = self._waiting.get(name)
        if waiting is None:
            waiting = self._waiting[name] = deque()
            loop.call_soon(self._next, loop, name, waiting)
            return
        mine = loop.create_future()
        waiting.append(mine)
        await mine

    def _next(self, loop: asyncio.AbstractEventLoop, name: Hashable, waiting: deque[asyncio.Future[None]]) -> None:
        while waiting:
            first = waiting.popleft()
            if not first.done():  # its caller may have left
                first.set_result(None)
                loop.call_soon(self._next, loop, name, waiting)
                return
        if self._waiting.get(name) is waiting:
            del self._waiting[name]
