"""One log, two processes, some readers, and whatever befalls them. On virtual time; all chance comes from the seed."""

from __future__ import annotations

import asyncio
import random
from collections.abc import Callable

from gapless.channels.feed_settings import FeedSettings
from gapless.channels.feeds import Feeds
from gapless.log.cursor import Position, base36, new_epoch
from gapless.log.entries import Entry
from gapless.log.namespaces import Feature
from gapless.runtime.tasks import end
from tests.model.failovers import Failovers
from tests.model.gossip import Gossip
from tests.model.reader import Reader
from tests.testkit.clock import advance, settle
from tests.testkit.model_log import draft
from tests.testkit.model_store import ModelStore

SETTINGS = FeedSettings(recheck=15, linger=2, retention=86_400, page=8, features=tuple(Feature), lease=20.0)
CALM_AT_LAST = 60.0
"""Seconds: more than the recheck and the 3 s after which what the log does not hold is given up."""
GONE = 25.0
"""Seconds: more than a lease lasts whose end nobody has told."""
AROUND = 5
"""Of so many histories one tells also of what goes on around the messages: it costs three times as much."""
USERS = ("ann", "bob", "ann", "eve")
"""As whom the readers are there: one of them has two tabs."""


class World:
    """`run` is a life; `failovers` knows afterwards what there was."""

    def __init__(self, seed: int) -> None:
        self.seed = seed
        self.dice = random.Random(seed)
        self.store = ModelStore(cap=20, page=8, latency=0.005)
        self.late: list[list[Entry]] = []
        self.story: list[str] = []
        self.broken: list[AssertionError] = []
        self.failovers = Failovers()
        self.feeds = [Feeds(self.store, SETTINGS, self.store.clock.now) for _ in range(2)]
        self.around = seed % AROUND == 0
        self.gossip = Gossip(seed, self.store)
        self.readers = [Reader(self, number % 2, user) for number, user in enumerate(USERS)]

    @property
    def log(self) -> list[Entry]:
        return self.store.logs["c"]

    def holds(self, position: Position) -> bool:
        """True where a reader at this position has a place in the log as it is now."""
        return position.nowhere or any(position in (entry.position, entry.before) for entry in self.log)

    def note(self, what: str) -> None:
        self.story.append(f"{asyncio.get_running_loop().time():8.2f} {what}")

    # --- what happens to the log

    def append(self) -> None:
        entries = self.store.append("c", *("1" * self.dice.randint(1, 3)))
        self.failovers.appended(self.store.notify)
        self.note(f"append {entries[0].position}…{entries[-1].position} {'' if self.store.notify else 'untold'}")
        if self.dice.random() < 0.2:
            self.late.append(entries)

    def lose_writes(self) -> None:
        lost = self.store.forget_last("c", min(self.dice.randint(1, 4), len(self.log)))
        self.failovers.lost([entry.position for entry in lost], self.readers)
        self.gossip.lose_some()
        self.note(f"lost {[str(entry.position) for entry in lost]}")

    def wipe(self) -> None:
        self.failovers.lost([entry.position for entry in self.log], self.readers)
        self.failovers.wiped()
        self.store.wipe("c")
        self.gossip.lose_all()
        self.note("wiped")

    def mute(self) -> None:
        self.store.notify = not self.store.notify
        self.note(f"notices {'on' if self.store.notify else 'off'}")

    def tell_late(self) -> None:
        if self.late:
            self.store.tell("c", self.late.pop(self.dice.randrange(len(self.late))))
            self.note("a late notice")

    def tell_foreign(self) -> None:
        """A primary that was deposed goes on from where it was; or somebody has made up a whole log."""
        mark = self.store.chance(4)
        if self.log and self.dice.random() < 0.8:
            before = self.dice.choice(self.log[-3:]).position
        else:
            before = Position(new_epoch(self.store.clock.now() + self.dice.choice([-9, 9]), base36(7, 2)), 0, "0")
        entry = Entry(Position(before.epoch, before.seq + 1, mark), before.mark, 1, draft("0").body)
        self.store.made[str(entry.position)] = entry
        self.store.tell("c", [entry])
        self.note(f"a foreign notice of {entry.position}")

    def lag(self) -> None:
        self.store.lag = self.dice.choice([0.0, 0.0, 0.5, 2.0])
        self.note(f"replica lags {self.store.lag}")

    # --- what happens to readers

    async def leave(self, reader: Reader) -> None:
        await reader.cut()
        self.failovers.cut(reader)
        self.note(f"reader {self.readers.index(reader)} is cut at {reader.cursor}")

    async def come_back(self, reader: Reader) -> None:
        reader.process = self.dice.randrange(2)
        self.failovers.comes_back(reader, self.log[-1].position if self.log else None)
        self.note(f"reader {self.readers.index(reader)} comes back with {reader.cursor}")
        await reader.connect()

    async def swap(self, befalls: list[Callable[[], None]]) -> None:
        """One reader is cut, stays away while something or nothing happens, and comes back to any process."""
        reader = self.dice.choice(self.readers)
        await self.leave(reader)
        for _ in range(self.dice.randint(0, 3)):
            self.dice.choice(befalls)()
        await asyncio.sleep(self.dice.choice([0, 0.1, 4]))
        await self.come_back(reader)

    # --- lives and their ends

    async def live(self, steps: int, *, rewrites: bool) -> None:
        """Random steps at random times."""
        befalls: list[Callable[[], None]] = [self.append] * 8 + [self.mute, self.tell_late, self.lag]
        if rewrites:
            befalls += [self.lose_writes, self.lose_writes, self.wipe, self.tell_foreign]
        for _ in range(steps):
            if self.dice.random() < 0.15:
                await self.swap(befalls)
            else:
                self.dice.choice(befalls)()
            await asyncio.sleep(self.dice.choice([0, 0, 0.01, 0.2, 1, 3.5]))

    async def go_on(self) -> None:
        """The last word of the log is told."""
        self.store.notify = True
        self.append()

    async def fall_silent(self) -> None:
        """The last that happens is a loss; nothing is ever appended again."""
        self.lose_writes()

    async def come_back_to_less(self) -> None:
        """Everybody is away when writes are lost, and comes back before anything is appended, if it ever is."""
        for reader in self.readers:
            await self.leave(reader)
        self.lose_writes()
        for reader in self.readers:
            await self.come_back(reader)
        if self.dice.random() < 0.5:
            await asyncio.sleep(self.dice.choice([0, 1, 5]))
            self.append()

    async def rewrite_unheard(self) -> None:
        """Writes are lost, the first ones after them are told to nobody, and then notices go on as if nothing was."""
        self.lose_writes()
        self.store.notify = False
        for _ in range(self.dice.randint(1, 3)):
            self.append()
        await self.go_on()

    async def run(self, *, rewrites: bool) -> None:
        """A life, an end, calm, and then the last law."""
        self.append()
        for reader in self.readers:
            await reader.connect()
        await settle()
        gossip = asyncio.create_task(self.gossip.go_on() if self.around else asyncio.sleep(0))
        await self.live(40, rewrites=rewrites)
        await end(gossip)
        ends = [self.go_on] + [self.fall_silent, self.come_back_to_less, self.rewrite_unheard] * rewrites
        self.store.lag = 0.0
        await self.dice.choice(ends)()
        await advance(CALM_AT_LAST)
        self.judge()
        if self.around:
            self.judge_around()
            await self.leave(self.dice.choice(self.readers))
            await advance(GONE)
            self.judge_around()
        for reader in self.readers:
            await reader.cut()
        for feeds in self.feeds:
            await feeds.close()

    def judge_around(self) -> None:
        """Everybody knows the marks that hold, and who has a stream; nobody else is there."""
        for error in self.broken:
            raise error
        here = [reader for reader in self.readers if reader.here]
        for reader in here:
            try:
                reader.around.judge(self.store.receipts["c"], {one.user for one in here})
            except AssertionError as error:
                raise AssertionError(reader.story(str(error))) from None

    def judge(self) -> None:
        """The last law, and that nobody whose place was lost was left in silence."""
        for error in self.broken:
            raise error
        log = [entry.position for entry in self.log]
        for reader in self.readers:
            place = reader.position
            assert place is not None
            at_head = place == log[-1] if log else place.nowhere
            assert at_head, reader.story(f"not at the head {log[-1] if log else 'of no log'}")
            lost = [p for p in reader.since_gap if p not in log and (not log or p[:2] >= log[0][:2])]
            assert not lost, reader.story(f"{lost} are not in the log, and nobody said so")
            assert reader not in self.failovers.open, reader.story(f"nobody told of {self.failovers.open.get(reader)}")
