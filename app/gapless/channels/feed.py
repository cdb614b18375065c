"""One feed per channel and process: it answers its readers, and tells them what is new.

A feed is a follower (`follower.py`: receives notices, and reads the log if they prove nothing) and an audience
(`audience.py`: every reader, told from one place). A reader that comes back, a reader that is slow, and a reader whose
notice was lost all ask the same question: which frames come after my position? The tail answers it without a command,
else the log does, else the reader is told of a gap.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Coroutine, Hashable, Sequence
from contextlib import nullcontext
from functools import partial
from typing import Any, TypeVar, cast

from gapless.channels.around import Around
from gapless.channels.audience import Audience, MakeAudience
from gapless.channels.bounded import BoundedStore
from gapless.channels.claims import CONFIRM, Unknown
from gapless.channels.feed_settings import FeedSettings
from gapless.channels.follower import Follower
from gapless.channels.frames import Frame
from gapless.channels.log_end import DEEP
from gapless.channels.schedule import REREAD
from gapless.channels.tail import ReadResult, Tail, reset, resolve_position
from gapless.channels.turns import Turn
from gapless.log.cursor import Position, no_log, start_of
from gapless.log.entries import Entry, Gap, GapReason
from gapless.log.errors import StoreUnavailable
from gapless.log.namespaces import Feature
from gapless.log.store import Room, Slice, Store
from gapless.runtime.counters import Counters

T = TypeVar("T")


class Feed:
    """One channel in this process. `clock`: Unix seconds. `turn`: in which it begins; see `turns.py`."""

    def __init__(
        self,
        channel: str,
        store: Store,
        settings: FeedSettings,
        clock: Callable[[], float],
        turn: Turn = nullcontext,
        counters: Counters | None = None,
        audience: MakeAudience = Audience,
    ) -> None:
        self.channel = channel
        self.counters = counters or Counters()
        self.audience = audience(self.counters, clock)
        self._store = BoundedStore(store)
        self._settings = settings
        self._clock = clock
        self._loop = asyncio.get_running_loop()
        self._reads: dict[Hashable, asyncio.Task[Any]] = {}
        self._deepened: Tail | None = None
        self._known_ends: tuple[float, Position, Slice] | None = None
        self._unknown = Unknown()
        self.around = Around(channel, self._store, settings, self.audience)
        self._follower = Follower(channel, self._store, settings, clock, self.audience, self.around, turn)

    @property
    def failure(self) -> StoreUnavailable | None:
        """Why this feed has failed; None if it has not. A failed feed never works again."""
        return self._follower.failure

    @property
    def features(self) -> tuple[Feature, ...]:
        """What the channel offers beside its messages."""
        return self._settings.features

    @property
    def head(self) -> Position:
        """The position after the newest message known here."""
        return self._follower.tail.head

    async def ready(self) -> None:
        """Return once the feed hears and has read since; raises StoreUnavailable where it can't."""
        await self._follower.fresh.wait()
        if self.failure is not None:
            raise self.failure

    def want(self, count: int) -> None:
        """The newest `count` messages will be asked for. Said before the feed is ready, it saves a read."""
        self._follower.want(count)

    def doubt(self) -> None:
        """Read before serving again: the process may have slept through notices."""
        self._follower.doubt()

    def aside(self, notice: bytes) -> None:
        """What this process itself tells beside messages is a notice, too."""
        self.around.take(notice)

    def notice(self, told: Sequence[Entry] | Position) -> None:
        """What this process itself has published is a notice, too."""
        self._follower.notice(told)

    async def close(self) -> None:
        """Stop listening."""
        await self._follower.close()
        await self.around.close()

    # --- what comes after a position

    def peek(self, position: Position) -> ReadResult | None:
        """All that is held here after `position`; None where only the log can tell. Costs nothing."""
        if not self._serves():
            return None
        tail = self._follower.tail
        index = tail.find(position, self._settings.retention)
        return None if index is None else ReadResult(tail.frames[index:])

    async def after(self, position: Position, room: Room) -> ReadResult:
        """What comes after `position`: from the tail if it reaches back, else from the log, else a gap.

        From the log come as many messages as fit `room`, but one, and nothing else travels. While there are claims of
        messages that are not proven yet (this process's own first one, say), the log is asked. A position past the
        log's end is read for once a second, by one read for all; 3 s after it was first asked for, by whomever, its
        history is gone: `reset`. So is one at the log's end that the tail does not know: it holds another history.
        """
        began = self._loop.time()
        while True:
            await self._reach(position)
            if (held := self.peek(position)) is not None and (held.frames or not self._follower.claims):
                return held
            behind = self._follower.tail.is_behind(position)
            late = self._loop.time() >= (self._unknown.since(position, began) if behind else began) + CONFIRM
            if late or not behind:
                told, cut = await (self._near_end(position) if behind else self._ask(position, room))
                if told is not None and not behind:
                    self._follower.take([frame.entry for frame in told.frames if frame.position[:2] > self.head[:2]])
                    if told.frames or told.gap or late or self.peek(position) is not None:
                        return told
                elif told is None and late:
                    return ReadResult(gap=reset(cut, no_log(self._clock())))
            if behind:
                self._unknown.wait(position, self._loop.time())
            await self._follower.timer.next_read()

    # --- where to begin

    async def back(self, count: int) -> Position:
        """The position before the newest `count` messages, or before the oldest that is kept.

        It waits for what is claimed (this process's own first message, say): a reader that comes after it begins there.
        """
        await self._settled()
        await self._deepen(count)
        tail = self._follower.tail
        if len(tail.frames) >= count:
            return tail.frames[-count].before if count else self.head
        if tail.base.seq == 0:
            return tail.base
        first = self.head.seq - count + 1
        cut = await self._share("start", first, lambda: self._store.slice(self.channel, first, first, most=1))
        if cut.oldest is None:
            return self.head
        return cut.entries[0].before if cut.entries else cut.oldest.before

    async def beginning(self) -> Position:
        """The position before the first message of the log, whether that message is still kept or not.

        Costs no read. As in `back`, what is claimed is waited for: it may begin the log, or another one.
        """
        await self._settled()
        return self.head if self.head.nowhere else start_of(self.head.epoch)

    def newest(self, count: int) -> Sequence[Frame] | None:
        """The newest `count` messages where they are held here, and nobody claims newer ones. Costs nothing."""
        tail = self._follower.tail
        if not self._serves() or self._follower.claims:
            return None
        return tail.frames[-count:] if len(tail.frames) >= count or tail.base.seq == 0 else None

    async def unknown(self) -> Gap:
        """The gap for a reader whose cursor says nothing: everything that is kept comes after it."""
        await self.ready()
        return reset(await self._ends(), no_log(self._clock()), GapReason.UNKNOWN)

    async def _settled(self) -> None:
        """Be ready, and have the log asked about what is claimed."""
        await self.ready()
        if self._follower.claims:
            await self._follower.timer.next_read()
            await self.ready()

    def _serves(self) -> bool:
        """True where the tail may be believed now."""
        return self._follower.fresh.is_set() and self.failure is None

    async def _reach(self, position: Position) -> None:
        """Be ready, and have the tail reach back to a place near the head, if that is worth a read."""
        await self.ready()
        if self._follower.tail.is_older(position) and self.peek(position) is None:
            await self._deepen(self.head.seq - position.seq)

    async def _deepen(self, count: int) -> None:
        """Have the tail hold the newest `count` messages, where so many should fit one read; tried once for a tail."""
        tail = self._follower.tail
        has_all = tail is self._deepened or tail.base.seq == 0 or len(tail.frames) >= count
        if has_all or count > min(self._settings.page, tail.count_in(DEEP)):
            return
        await self._share("deepen", None, self._follower.deepen)
        self._deepened = tail

    async def _ends(self) -> Slice:
        """The log's ends, in one read a second for all who ask, wherever they stand; anew once the head has moved."""
        now, head = self._loop.time(), self.head
        at, known, ends = self._known_ends or (-REREAD, head, None)
        if ends is None or known != head or now - at >= REREAD:
            ends = await self._share("ends", None, lambda: self._store.slice(self.channel, 0, 0))
            self._known_ends = self._loop.time(), head, ends
        return ends

    async def _near_end(self, position: Position) -> tuple[ReadResult | None, Slice]:
        """The log's word on a position that is past its end as far as this feed knows."""
        ends = await self._ends()
        return resolve_position(self.channel, position, ends, self._settings.retention), ends

    async def _ask(self, position: Position, room: Room) -> tuple[ReadResult | None, Slice]:
        """The log's word on a position. Read and encoded once for all who ask the same meanwhile."""
        return await self._share("backlog", (position, room), lambda: self._read(position, room))

    async def _read(self, position: Position, room: Room) -> tuple[ReadResult | None, Slice]:
        """What the log holds after `position`, of which nothing is read that the tail holds."""
        last = position.seq + room.messages
        if self._follower.tail.is_older(position):
            last = min(last, max(self._follower.tail.base.seq, position.seq + 1))
        beside = position._replace(epoch="") if position.nowhere else position
        cut = await self._store.slice(self.channel, position.seq + 1, last, most=room.size, beside=beside)
        return resolve_position(self.channel, position, cut, self._settings.retention), cut

    async def _share(self, reason: str, what: Hashable, read: Callable[[], Coroutine[Any, Any, T]]) -> T:
        """The answer to `read`; a reader that asks the same meanwhile shares it."""
        task = self._reads.get(key := (reason, what))
        if task is None or task.done():
            self.counters.reads[reason] += 1
            task = self._reads[key] = asyncio.create_task(read())
            task.add_done_callback(partial(self._answered, key))
        return cast("T", await asyncio.shield(task))

    def _answered(self, key: Hashable, done: asyncio.Task[Any]) -> None:
        if self._reads.get(key) is done:
            del self._reads[key]
        if not done.cancelled():
            done.exception()  # asked for, so that asyncio does not complain where nobody waits any more
