"""Keeps the tail of a channel equal to the end of its log: receives notices, and reads the log if they prove nothing.

    notice ──► proven by the chain? ──► append ──► one chunk of bytes ──► every reader of the channel
                    │ no
                    └──► read the log, one read at a time ──► the log decides

One task reads for all readers, so a hundred readers with the same question cost one read. A follower whose subscription
stays silent fails, and the streams of its readers end: a stream that stays open and shows nothing is the worst failure.
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Callable, Sequence
from contextvars import Context

from gapless.channels.around import Around
from gapless.channels.arrivals import Arrivals, Notice
from gapless.channels.audience import FEW, Audience
from gapless.channels.bounded import BoundedStore
from gapless.channels.claims import CONFIRM, Claims, Doubts
from gapless.channels.feed_settings import FeedSettings
from gapless.channels.fork import ReplicaLag, follow_rewritten
from gapless.channels.log_end import DEEP, read_end
from gapless.channels.patience import RETRY, Patience, Settling
from gapless.channels.read_size import expected
from gapless.channels.read_timer import ReadTimer
from gapless.channels.tail import Relation, Tail
from gapless.channels.turns import Turn
from gapless.log.cursor import Position, no_log
from gapless.log.entries import Entry
from gapless.log.errors import StoreUnavailable
from gapless.log.store import Subscription
from gapless.runtime.tasks import end

_log = logging.getLogger("gapless.feed")


class Follower:
    """Keeps one channel's tail. It is the Listener of its subscription. `clock`: Unix seconds."""

    def __init__(
        self,
        channel: str,
        store: BoundedStore,
        settings: FeedSettings,
        clock: Callable[[], float],
        audience: Audience,
        around: Around,
        turn: Turn,
    ) -> None:
        self._tail = Tail(channel, no_log(clock()))
        self._arrivals = Arrivals(settings.pause, self._hear, lambda: len(audience) <= FEW)
        self.all_told = self._arrivals.all_told
        self._claims, self._doubts = Claims(), Doubts()
        self.failure: StoreUnavailable | None = None
        self.fresh = asyncio.Event()
        self.timer = ReadTimer(settings.recheck)
        self._channel, self._store, self._settings = channel, store, settings
        self._clock = clock
        self._audience = audience
        self._loop = asyncio.get_running_loop()
        self._reads = self._wanted = 0
        self._reading = self._closed = False
        self._patience, self._settling, self._lag = Patience(), Settling(settings.lag), ReplicaLag()
        self._around = around
        self._subscription: Subscription | None = None
        # Not in the context of the request that happens to be first: its deadline and its log are its own.
        self._task = asyncio.create_task(self._run(turn), name=f"gapless feed {channel}", context=Context())

    @property
    def tail(self) -> Tail:
        """The newest messages, with all that was told of so far."""
        self._arrivals.settle()
        return self._tail

    @property
    def claims(self) -> Claims:
        """What was told of so far, and is not proven."""
        self._arrivals.settle()
        return self._claims

    def want(self, count: int) -> None:
        """A reader will ask for the newest `count` messages: where nothing was read yet, the first read brings them."""
        self._wanted = max(self._wanted, count)

    async def deepen(self) -> None:
        """Have the tail reach back by DEEP bytes or a page. One read; raises StoreUnavailable."""
        self.tail.deepen(await self._store.tail(self._channel, self._settings.page, DEEP))

    def doubt(self) -> None:
        """Read before serving again: the process may have slept through notices."""
        self.fresh.clear()
        self.timer.ask()

    async def close(self) -> None:
        """Stop listening."""
        self._closed = True
        self._arrivals.drop()
        await end(self._task)

    # --- what the store tells (Listener)

    def notice(self, told: Notice) -> None:
        """A notice has come: it says that messages were appended."""
        self._arrivals.add(told)
        self.timer.noticed()

    def _hear(self, entries: Sequence[Entry], ends: Sequence[Position]) -> None:
        """Take what was told of. Read the log for what is late, or rewritten, and for ends that are not known here."""
        late = any(map(self._tail.is_late, entries))
        self._audience.counters.noticed(len(entries), len(ends), *self.take(entries))
        if late:
            self._look(None)
        for told in ends:
            if self._tail.find(told, 0) is None:
                self._look(told)

    def aside(self, notice: bytes) -> None:
        """A notice of no messages: it is no reason to read the log."""
        self._arrivals.settle()  # it overtakes no message
        self._around.take(notice)

    def _look(self, told: Position | None) -> None:
        """Read the log for what is not known here, up to the last position that a notice or a reader named."""
        self._doubts.add(told)
        self.timer.ask()

    def lost(self) -> None:
        """The subscription is lost. It has some seconds to come back."""
        self._patience.lost(self._loop.time())
        self.fresh.clear()
        self.timer.ask(CONFIRM)

    def heard(self) -> None:
        """The subscription hears again; what was missed is in the log."""
        self._patience.heard()
        self.timer.ask()
        self._around.look()

    # --- live: the chain decides

    def take(self, entries: Sequence[Entry]) -> tuple[int, int]:
        """Append what the chain proves, hand it to every reader, and ask the log about the rest. How many of each."""
        frames, claims = self._tail.extend(entries)
        self._audience.push(frames, self._loop.time())
        if claims:
            self._claims.add(self._loop.time(), self._reads, claims)
            if not self._reading:
                self.timer.ask()
        return len(frames), len(claims)

    # --- the task: the log decides

    async def _run(self, turn: Turn) -> None:
        """Subscribe first, read second, then read whenever there is a reason."""
        try:
            async with turn():
                self._subscription = await self._store.subscribe(self._channel, self)
                self._doubts.add()
                await self._read()
            while True:
                await self.timer.due()
                await self._read()
        except StoreUnavailable as error:
            self._fail(error)
        except Exception as error:  # a defect of ours must not leave a feed without notices behind
            _log.exception("the feed of %s broke", self._channel)
            self._fail(StoreUnavailable(f"the feed broke: {error}"))
        except asyncio.CancelledError:
            if not self._closed:  # cancelled from outside by mistake: that must not leave a task behind either
                self._fail(StoreUnavailable("the feed was broken off"))
            raise
        finally:
            if self._subscription is not None:
                await self._subscription.close()

    def _fail(self, error: StoreUnavailable) -> None:
        self.failure = error
        self.fresh.set()
        self.timer.ended()
        self._audience.wake()

    async def _read(self) -> None:
        """Read the log's end and let it decide. A passing failure is tried again; a lasting one ends the feed."""
        began = self.timer.began()
        self._arrivals.settle()
        self._patience.check(began)
        anew, settles = not self.fresh.is_set(), self._settling.due(began)
        told, doubted = self._doubts.take()
        suspects = doubted or settles or anew or len(self.claims) > 0
        self._audience.counters.reads["subscribed" if anew else "doubt" if suspects else "recheck"] += 1
        self._reads, self._reading = self._reads + 1, True
        try:
            newest = await self._sync(expected(self.tail, self.claims, told, self._settings.page), suspects)
        except StoreUnavailable as error:
            self._patience.failed(self._loop.time(), error, self.fresh.is_set())
            self._doubts.add()
            self.timer.ask(RETRY)
            return
        finally:
            self._reading = False
        self._patience.succeeded()
        self.take(self.claims.settle(self._loop.time(), self._reads, newest, self.tail))
        if self.claims:
            self.timer.ask(0 if self.claims.unasked(self._reads) else RETRY)
        if (left := self._settling.left(self._loop.time(), anew, settles)) is not None:
            self.timer.ask(left)
        if (left := self._patience.left(self._loop.time())) is None:
            self.fresh.set()
        else:  # still lost: not for longer than it may be
            self.timer.ask(left)
        self.timer.ended()

    async def _sync(self, count: int, suspects: bool) -> Position | None:
        """Read `count` entries, compare with what is held, follow the log. Returns the log's newest position."""
        # At the beginning as much of it as a reader waits for, or a glance.
        deep = not self.fresh.is_set() and self.tail.base.nowhere and self._wanted > count
        entries, relation = await read_end(self._store, lambda: self.tail, count, self._settings.page, deep)
        if not suspects and relation in (Relation.GREW, Relation.HOLE) and self._subscription is not None:
            self._subscription.suspect()  # nothing was suspected, and yet there is more than any notice has told
        newest = entries[-1].position if entries else None
        if relation is Relation.BEHIND and not self._lag.note(self._loop.time(), newest, self.tail.head):
            self.timer.ask(RETRY)
            return newest
        self._lag.forget()
        if relation is Relation.GREW:
            self.take(entries)
        elif relation is Relation.HOLE:
            self._replace(Tail(self._channel, entries[0].before, entries))
        elif relation in (Relation.BEHIND, Relation.FORKED):
            await self._rewrite(entries)
        return newest

    def _replace(self, tail: Tail) -> None:
        """Go on with another tail; every reader finds its own way from its position."""
        head, self._tail = self._tail.head, tail
        self._audience.wake([frame for frame in tail.frames if frame.position[:2] > head[:2]])

    async def _rewrite(self, entries: Sequence[Entry]) -> None:
        """The log holds another history: go on with it, and tell those who went past the place where it parts."""
        old, nowhere = self.tail, no_log(self._clock())
        found = await follow_rewritten(self._store, old, entries, nowhere)
        _log.warning("the log of %s was rewritten after %s", self._channel, found.shared)
        for reader, at in self._audience.positions():
            if found.is_past(old, at):
                reader.rewind(found.gap)
        self._replace(found.tail)
        self._around.look()
