"""Notices that are taken together: those that came in one turn of the event loop, or since a pause began.

A write to a stream costs about the same for one message as for twenty. So a notice waits until the loop has heard what
there is to hear at the moment, which takes no time where nothing else is there. Where a few are to be told, it waits
for what came with it and no longer: in the rest of the turn its publisher is answered, a sixth of a lone message's way.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Sequence
from contextvars import Context

from gapless.channels.schedule import NEVER
from gapless.log.cursor import Position
from gapless.log.entries import Entry

Notice = Sequence[Entry] | Position
"""The entries that were appended, or, where they are too large to be told, the newest one's position."""


class Arrivals:
    """`pause`: seconds between two takings, 0: none. `take` gets entries in the log's order, and ends of the log.

    `few`: whether telling them takes no time.
    """

    def __init__(
        self,
        pause: float,
        take: Callable[[Sequence[Entry], Sequence[Position]], None],
        few: Callable[[], bool] = lambda: False,
    ) -> None:
        self._pause = pause
        self._take = take
        self._few = few
        self._loop = asyncio.get_running_loop()
        self._entries: list[Entry] = []
        self._ends: list[Position] = []
        self._taken_at = -NEVER
        self._timer: asyncio.Handle | None = None
        self._context = Context()  # not that of the request which happens to publish

    def add(self, told: Notice) -> None:
        """One has come."""
        if isinstance(told, Position):
            self._ends.append(told)
        else:
            self._entries += told
        if self._timer is None:
            due = self._taken_at + self._pause
            if due > self._loop.time():
                self._timer = self._loop.call_at(due, self.settle, context=self._context)
            else:
                self._timer = self._loop.call_soon(self.settle, context=self._context)

    def all_told(self) -> None:
        """Nothing more has come with what was told last."""
        if self._pause == 0 and self._few():
            self.settle()

    def settle(self) -> None:
        """Have all that waits taken now."""
        if self._timer is None:
            return
        entries, ends = sorted(self._entries, key=_place), self._ends  # several publishers' notices overtake each other
        self.drop()
        self._taken_at = self._loop.time()
        self._take(entries, ends)

    def drop(self) -> None:
        """Nothing is taken any more."""
        self._entries, self._ends = [], []
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None


def _place(entry: Entry) -> tuple[str, int]:
    return entry.position[:2]
