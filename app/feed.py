"""One feed per channel and process: hears notices, reads the log where they prove nothing, and feeds every reader.

    notice ──► proven by the chain? ──► append ──► one chunk of bytes ──► every reader of the channel
                    │ no
                    └──► read the log, one read at a time ──► the log decides

The feed's own task is the only one that reads on its behalf, so a hundred readers with the same question cost one read.
A feed that can no longer hear ends its readers' streams: silence over a deaf feed would be the worst failure there is.
"""

from __future__ import annotations

import asyncio
import contextlib
import logging
from collections.abc import Callable, Sequence
from contextvars import Context
from dataclasses import dataclass
from typing import Protocol

from app.claims import CONFIRM, Claims
from app.cursor import Position, no_log
from app.errors import CorruptLog, StoreUnavailable
from app.events import Entry, Gap, GapReason
from app.fork import find_fork
from app.frames import Frame
from app.schedule import NEVER, Schedule
from app.store import Slice, Store, Subscription
from app.tail import Relation, Stretch, Tail, judge, reset

RETRY = 0.5
"""Seconds before a read that failed is tried again."""
EARLY = 1e-6
"""Seconds by which a loop's timers may be early: waiting once more for so little would be waiting for nothing."""

_log = logging.getLogger("gapless.feed")


@dataclass(frozen=True, slots=True)
class FeedSettings:
    """`recheck`, `linger`, `retention` in seconds; `page`: entries a read; `freezes`: the process may sleep.

    `lag`: seconds after which what a read was too early for is there, 0 where none is; see `Store.lag`.
    """

    recheck: float
    linger: float
    retention: float
    page: int
    freezes: bool = False
    lag: float = 0.0


class Reader(Protocol):
    """Who reads a channel live. All three are called on the event loop and must not block or raise."""

    position: Position

    def push(self, frames: Sequence[Frame], block: bytes, now: float) -> None:
        """These frames come next, all of them as one chunk in `block`. Whoever can't take them asks `after` later."""

    def rewind(self, gap: Gap) -> None:
        """History was rewritten behind you: tell of the gap and go on from its `resume`."""

    def wake(self) -> None:
        """The feed goes on elsewhere, or failed: ask `after` for what comes next, or why nothing will."""


class Feed:
    """A channel as this process hears it: `after` and `peek` are its questions, `readers` its audience."""

    def __init__(self, channel: str, store: Store, settings: FeedSettings, wall: Callable[[], float]) -> None:
        self.channel = channel
        self.readers: dict[Reader, None] = {}
        self.failure: StoreUnavailable | None = None
        self._store = store
        self._settings = settings
        self._wall = wall
        self._loop = asyncio.get_running_loop()
        self._tail = Tail(channel, no_log(wall()))
        self._claims = Claims()
        self._schedule = Schedule(settings.recheck)
        self._slices: dict[int, asyncio.Task[Slice]] = {}
        self._fresh = asyncio.Event()
        self._was_read = asyncio.Event()
        self._wake = asyncio.Event()
        self._sleeps_until = NEVER
        self._reads = 0
        self._reading = self._suspects = False
        self._lost_since = self._failing_since = self._settles_at = NEVER
        self._behind: tuple[float, Position] | None = None
        self._subscription: Subscription | None = None
        # Not in the context of the request that happens to be first: its deadline and its log are its own.
        self._task = asyncio.create_task(self._tend(), name=f"gapless feed {channel}", context=Context())

    # --- what readers ask

    @property
    def head(self) -> Position:
        """The position after the newest message known here."""
        return self._tail.head

    async def ready(self) -> None:
        """Return once the feed hears and has read since; raises StoreUnavailable where it can't."""
        await self._fresh.wait()
        if self.failure is not None:
            raise self.failure

    def peek(self, position: Position) -> Stretch | None:
        """All that is held here after `position`; None where only the log can tell. Costs nothing."""
        if not self._fresh.is_set() or self.failure is not None:
            return None
        index = self._tail.find(position, self._settings.retention)
        return None if index is None else Stretch(self._tail.frames[index:])

    async def after(self, position: Position) -> Stretch:
        """What comes after `position`: from the tail if it reaches back, else from the log, else a gap.

        While somebody claims messages that are not proven yet (this process's own first one, say), the log is asked.
        A position past the log's end is read for once a second; if it still is after 3 s, its history is gone: `reset`.
        """
        give_up = self._loop.time() + CONFIRM
        while True:
            await self.ready()
            if (held := self.peek(position)) is not None and (held.frames or not self._claims):
                return held
            late = self._loop.time() >= give_up
            if late or not self._tail.is_behind(position):
                cut = await self._slice(position.seq)
                if (told := judge(self.channel, position, cut, self._settings.retention)) is not None:
                    self._take([frame.entry for frame in told.frames if frame.position[:2] > self.head[:2]])
                    return told
                if late:
                    return Stretch(gap=reset(cut, no_log(self._wall())))
            await self._reread()

    def newest(self, count: int) -> Sequence[Frame] | None:
        """The newest `count` messages where they are held here, and nobody claims newer ones. Costs nothing."""
        frames = self._tail.frames
        if not self._fresh.is_set() or self.failure is not None or self._claims:
            return None
        return frames[-count:] if len(frames) >= count or self._tail.base.seq == 0 else None

    async def back(self, count: int) -> Position:
        """The position before the newest `count` messages, or before the oldest that is kept."""
        await self.ready()
        frames = self._tail.frames
        if len(frames) >= count:
            return frames[-count].entry.before if count else self.head
        if self._tail.base.seq == 0:
            return self._tail.base
        cut = await self._slice(self.head.seq - count + 1)
        return self.head if cut.oldest is None else (*cut.entries, cut.oldest)[0].before

    async def unknown(self) -> Gap:
        """The gap for a reader whose cursor says nothing: everything that is kept comes after it."""
        await self.ready()
        return reset(await self._slice(0), no_log(self._wall()), GapReason.UNKNOWN)

    def doubt(self) -> None:
        """Read before serving again: the process may have slept through notices."""
        self._fresh.clear()
        self._ask(0)

    # --- what the store tells (Listener)

    def notice(self, told: Sequence[Entry] | Position) -> None:
        """Messages were appended, somebody says."""
        self._schedule.noticed(self._loop.time())
        if not isinstance(told, Position):
            self._take(told)
        elif self._tail.find(told, 0) is None:
            self._suspects = True
            self._ask(0)
        if self._schedule.next() < self._sleeps_until:
            self._wake.set()

    def lost(self) -> None:
        """The subscription is deaf. It has some seconds to come back."""
        self._lost_since = self._loop.time()
        self._fresh.clear()
        self._ask(CONFIRM)

    def heard(self) -> None:
        """The subscription hears again; what was missed is in the log."""
        self._lost_since = NEVER
        self._ask(0)

    # --- live: the chain decides

    def _take(self, entries: Sequence[Entry]) -> None:
        """Append what the chain proves, hand it to every reader, and ask the log about the rest."""
        frames, claims = self._tail.extend(entries)
        if frames:
            block = frames[0].block if len(frames) == 1 else b"".join([frame.block for frame in frames])
            now = self._loop.time()
            for reader in tuple(self.readers):
                reader.push(frames, block, now)
        if claims:
            self._claims.add(self._loop.time(), self._reads, claims)
            if not self._reading:
                self._ask(0)

    # --- reading: the log decides

    def _ask(self, delay: float) -> None:
        """Have the log read in `delay` seconds at the latest."""
        self._schedule.ask(self._loop.time() + delay)
        self._wake.set()

    async def _reread(self) -> None:
        """Wait for a read, at most one a second, or for the feed to fail."""
        self._schedule.ask_again(self._loop.time())
        self._wake.set()
        self._was_read.clear()
        await self._was_read.wait()

    async def _slice(self, first: int) -> Slice:
        """A page of the log from seq `first`; whoever asks for the same meanwhile shares the read."""
        task = self._slices.get(first)
        if task is None:
            reading = self._store.slice(self.channel, first, first + self._settings.page)
            task = self._slices[first] = asyncio.create_task(reading)
            task.add_done_callback(lambda done: (self._slices.pop(first), done.cancelled() or done.exception()))
        return await asyncio.shield(task)

    async def _tend(self) -> None:
        """The feed's own task: subscribe first, read second, then read whenever there is a reason."""
        try:
            self._subscription = await self._store.subscribe(self.channel, self)
            self._suspects = True
            while True:
                await self._read()
                await self._until_due()
        except StoreUnavailable as error:
            self._fail(error)
        except Exception as error:  # a defect of ours must not leave a deaf feed behind
            _log.exception("the feed of %s broke", self.channel)
            self._fail(StoreUnavailable(f"the feed broke: {error}"))
        finally:
            if self._subscription is not None:
                await self._subscription.close()

    async def _until_due(self) -> None:
        while self._loop.time() < (due := self._schedule.next()) - EARLY:
            self._wake.clear()
            self._sleeps_until = due
            with contextlib.suppress(TimeoutError):
                async with asyncio.timeout_at(due):
                    await self._wake.wait()

    async def _read(self) -> None:
        """Read the log's end and let it decide. A passing failure is tried again; a lasting one ends the feed."""
        began = self._loop.time()
        self._schedule.began(began)
        if began - self._lost_since >= CONFIRM:
            raise StoreUnavailable("the subscription was lost and did not come back")
        anew = not self._fresh.is_set()
        settles = began >= self._settles_at
        suspects, self._suspects = self._suspects or settles or len(self._claims) > 0 or anew, False
        self._reads += 1
        self._reading = True
        try:
            newest = await self._learn(self._settings.page if suspects else 1)
        except StoreUnavailable as error:
            self._bear(error)
            return
        finally:
            self._reading = False
        self._failing_since = NEVER
        self._take(self._claims.settle(self._loop.time(), self._reads, newest, self._tail))
        if self._claims:
            self._ask(0 if self._claims.unasked(self._reads) else RETRY)
        self._settle(anew, settles)
        if self._lost_since == NEVER:
            self._fresh.set()
        self._was_read.set()

    def _bear(self, error: StoreUnavailable) -> None:
        """Try again for a while, unless nothing was ever read or there is nothing to hope for."""
        now = self._loop.time()
        self._failing_since = min(self._failing_since, now)
        if isinstance(error, CorruptLog) or not self._fresh.is_set() or now - self._failing_since >= CONFIRM:
            raise error
        self._suspects = True
        self._ask(RETRY)

    def _settle(self, anew: bool, settles: bool) -> None:
        """What was written before this feed heard, and read from a replica that lags, is in no notice: look again."""
        if anew and self._settings.lag:
            self._settles_at = self._loop.time() + self._settings.lag
        elif settles:
            self._settles_at = NEVER
        if self._settles_at != NEVER:
            self._ask(self._settles_at - self._loop.time())

    async def _learn(self, count: int) -> Position | None:
        """Read `count` entries, compare with what is held, follow the log. Returns the log's newest position."""
        entries = await self._store.tail(self.channel, count)
        relation = self._tail.relate(entries)
        if count == 1 and relation in (Relation.GREW, Relation.HOLE) and self._subscription is not None:
            self._subscription.suspect()  # nothing was suspected, and yet there is more than any notice has told
        if relation in (Relation.HOLE, Relation.FORKED) and count < self._settings.page:
            return await self._learn(self._settings.page)
        too_long = self._stays_behind(entries[-1].position if entries else None, relation)
        if relation is Relation.GREW:
            self._take(entries)
        elif relation is Relation.HOLE:
            self._replace(Tail(self.channel, entries[0].before, entries))
        elif relation is Relation.FORKED or too_long:
            await self._rewrite(entries)
        elif relation is Relation.BEHIND:
            self._ask(RETRY)
        return entries[-1].position if entries else None

    def _stays_behind(self, newest: Position | None, relation: Relation) -> bool:
        """True where the log still lacks what this feed had 3 s ago. A replica that lags gets there, and goes on."""
        now = self._loop.time()
        if relation is not Relation.BEHIND:
            self._behind = None
        elif self._behind is None or (newest is not None and newest[:2] >= self._behind[1][:2]):
            self._behind = now, self.head
        return self._behind is not None and now - self._behind[0] >= CONFIRM

    def _replace(self, tail: Tail) -> None:
        """Go on with another tail; every reader finds its own way from its position."""
        self._tail = tail
        for reader in tuple(self.readers):
            reader.wake()

    async def _rewrite(self, entries: list[Entry]) -> None:
        """The log holds another history: go on after the newest entry that both share, and say so."""
        self._behind = None
        nowhere = no_log(self._wall())
        old = self._tail
        shared, entries = await find_fork(self._store, old, entries, self._settings.page)
        if shared is None:
            gap = reset(await self._store.slice(self.channel, 0, 0), nowhere)
        else:
            new = [entry.position for entry in entries if entry.position.seq > shared.seq]
            gap = Gap(GapReason.RESET, shared, new[0] if new else None, new[-1] if new else shared)
        _log.warning("the log of %s was rewritten after %s", self.channel, shared)
        told = [r for r in self.readers if _saw(old, r.position) and r.position != gap.resume]
        self._replace(old.rewritten(entries, shared, nowhere))
        for reader in told:
            if not shared or reader.position.seq > shared.seq:
                reader.rewind(gap)

    def _fail(self, error: StoreUnavailable) -> None:
        self.failure = error
        self._fresh.set()
        self._was_read.set()
        for reader in tuple(self.readers):
            reader.wake()

    async def close(self) -> None:
        """Stop listening."""
        self._task.cancel()
        with contextlib.suppress(asyncio.CancelledError):
            await self._task


def _saw(tail: Tail, position: Position) -> bool:
    """True where a reader at `position` went through the history that `tail` holds."""
    return not position.nowhere and tail.find(position, 0) is not None
