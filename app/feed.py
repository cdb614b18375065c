"""One feed per channel and process: what its readers ask, and whom it tells.

A feed is a follower (`follower.py`: hears notices, reads where they prove nothing) and an audience (`audience.py`:
every reader, told from one place). What a reader lacks is always the same question, whether it comes back, is slow, or
a notice was lost: the frames after its position. The tail answers it for nothing, else the log does, else a gap.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Sequence
from functools import partial

from app.audience import Audience
from app.bounded import BoundedStore
from app.claims import CONFIRM
from app.cursor import Position, no_log
from app.errors import StoreUnavailable
from app.events import Entry, Gap, GapReason
from app.follower import FeedSettings, Follower
from app.frames import Frame
from app.store import Slice, Store
from app.tail import Stretch, judge, reset

__all__ = ["Feed", "FeedSettings"]


class Feed:
    """A channel as this process hears it. `wall` tells Unix seconds."""

    def __init__(self, channel: str, store: Store, settings: FeedSettings, wall: Callable[[], float]) -> None:
        self.channel = channel
        self.audience = Audience()
        self._store = BoundedStore(store)
        self._settings = settings
        self._wall = wall
        self._loop = asyncio.get_running_loop()
        self._slices: dict[int, asyncio.Task[Slice]] = {}
        self._follower = Follower(channel, self._store, settings, wall, self.audience)

    @property
    def failure(self) -> StoreUnavailable | None:
        """Why it no longer hears, where it does not: it never will again."""
        return self._follower.failure

    @property
    def head(self) -> Position:
        """The position after the newest message known here."""
        return self._follower.tail.head

    async def ready(self) -> None:
        """Return once the feed hears and has read since; raises StoreUnavailable where it can't."""
        await self._follower.fresh.wait()
        if self.failure is not None:
            raise self.failure

    def doubt(self) -> None:
        """Read before serving again: the process may have slept through notices."""
        self._follower.doubt()

    def notice(self, told: Sequence[Entry] | Position) -> None:
        """What this process itself has published is a notice, too."""
        self._follower.notice(told)

    async def close(self) -> None:
        """Stop listening."""
        await self._follower.close()

    # --- what comes after a position

    def peek(self, position: Position) -> Stretch | None:
        """All that is held here after `position`; None where only the log can tell. Costs nothing."""
        if not self._serves():
            return None
        tail = self._follower.tail
        index = tail.find(position, self._settings.retention)
        return None if index is None else Stretch(tail.frames[index:])

    async def after(self, position: Position) -> Stretch:
        """What comes after `position`: from the tail if it reaches back, else from the log, else a gap.

        While somebody claims messages that are not proven yet (this process's own first one, say), the log is asked.
        A position past the log's end is read for once a second; if it still is after 3 s, its history is gone: `reset`.
        So is one at the log's end that the tail does not know: it holds another history, and has yet to hear of it.
        """
        give_up = self._loop.time() + CONFIRM
        while True:
            await self.ready()
            if (held := self.peek(position)) is not None and (held.frames or not self._follower.claims):
                return held
            late = self._loop.time() >= give_up
            if late or not self._follower.tail.is_behind(position):
                cut = await self._slice(position.seq)
                if (told := judge(self.channel, position, cut, self._settings.retention)) is not None:
                    self._follower.take([frame.entry for frame in told.frames if frame.position[:2] > self.head[:2]])
                    if told.frames or told.gap or late or self.peek(position) is not None:
                        return told
                elif late:
                    return Stretch(gap=reset(cut, no_log(self._wall())))
            await self._follower.waking.next_read()

    # --- where to begin

    async def back(self, count: int) -> Position:
        """The position before the newest `count` messages, or before the oldest that is kept.

        What somebody claims (this process's own first message, say) is waited for: whoever comes after it begins there.
        """
        await self.ready()
        if self._follower.claims:
            await self._follower.waking.next_read()
            await self.ready()
        tail = self._follower.tail
        if len(tail.frames) >= count:
            return tail.frames[-count].entry.before if count else self.head
        if tail.base.seq == 0:
            return tail.base
        cut = await self._slice(self.head.seq - count + 1)
        return self.head if cut.oldest is None else (*cut.entries, cut.oldest)[0].before

    def newest(self, count: int) -> Sequence[Frame] | None:
        """The newest `count` messages where they are held here, and nobody claims newer ones. Costs nothing."""
        tail = self._follower.tail
        if not self._serves() or self._follower.claims:
            return None
        return tail.frames[-count:] if len(tail.frames) >= count or tail.base.seq == 0 else None

    async def unknown(self) -> Gap:
        """The gap for a reader whose cursor says nothing: everything that is kept comes after it."""
        await self.ready()
        return reset(await self._slice(0), no_log(self._wall()), GapReason.UNKNOWN)

    def _serves(self) -> bool:
        """True where the tail may be believed now."""
        return self._follower.fresh.is_set() and self.failure is None

    async def _slice(self, first: int) -> Slice:
        """A page of the log from seq `first`; whoever asks for the same meanwhile shares the read."""
        task = self._slices.get(first)
        if task is None or task.done():
            reading = self._store.slice(self.channel, first, first + self._settings.page)
            task = self._slices[first] = asyncio.create_task(reading)
            task.add_done_callback(partial(self._sliced, first))
        return await asyncio.shield(task)

    def _sliced(self, first: int, done: asyncio.Task[Slice]) -> None:
        if self._slices.get(first) is done:
            del self._slices[first]
        if not done.cancelled():
            done.exception()  # asked for, so that asyncio does not complain where nobody waits any more
