"""Thousands of random histories on virtual time: whatever happens to logs, notices, replicas and streams, no reader is
left with a story that is not the log's, without having been told.

The laws, for every reader and every message it gets:

1. it follows the one before by number and by mark, or a gap stands between them;
2. a `trimmed` gap counts right;
3. a `reset` comes only where the reader's position is really gone from the log;
4. when all is quiet at last, the reader stands at the head of the log, and what it got since its last gap is in it.
"""

from __future__ import annotations

import asyncio
import json
import os
import random
from collections.abc import Callable

import pytest

from app.cursor import Position, parse_cursor, parse_position
from app.events import End, Entry
from app.feed import FeedSettings
from app.feeds import Feeds
from app.stream import Start, Stream, Terms
from tests.support.clock import VirtualLoop, advance, settle
from tests.support.model_store import ModelStore

SETTINGS = FeedSettings(recheck=15, linger=2, retention=86_400, page=8)
TERMS = Terms(lifetime=100_000, heartbeat=15, retry_ms=700, dice=0.5)


class Reader:
    """A client that reconnects with the last id it saw, and holds every block against the laws."""

    def __init__(self, world: World, process: int) -> None:
        self.world = world
        self.process = process
        self.cursor: str | None = None
        self.position: Position | None = None
        self.since_gap: list[Position] = []
        self.gap_before = False
        self.told: list[str] = []
        self.task: asyncio.Task[End] | None = None
        self.stream: Stream | None = None
        self._rest = ""

    async def connect(self) -> None:
        ready = asyncio.Event()
        self.task = asyncio.create_task(self._read(ready))
        await ready.wait()

    async def _read(self, ready: asyncio.Event) -> End:
        self._rest = ""
        cursor = None if self.cursor is None else parse_cursor(self.cursor, 1)
        async with self.world.feeds[self.process].open(["c"]) as feeds:
            self.stream = Stream(feeds, Start(cursor=cursor), TERMS)
            ready.set()
            try:
                return await self.stream.run(self._take)  # type: ignore[arg-type]
            finally:
                self.stream.abandon()

    async def cut(self) -> None:
        """The connection is gone, at whatever moment."""
        assert self.task is not None
        self.task.cancel()
        await asyncio.gather(self.task, return_exceptions=True)

    async def _take(self, message: dict[str, bytes]) -> None:
        if self.world.dice.random() < 0.02:
            await asyncio.sleep(self.world.dice.random() * 3)  # a slow client
        self._rest += message["body"].decode()
        *blocks, self._rest = self._rest.split("\n\n")
        for block in blocks:
            fields = dict(line.split(": ", 1) for line in block.split("\n") if not line.startswith(":"))
            try:
                self._heed(fields.get("event", "message"), fields)
            except AssertionError as error:  # the stream would take it for a client that is gone
                self.world.broken.append(error)
                raise
            self.cursor = fields.get("id", self.cursor)

    def _heed(self, event: str, fields: dict[str, str]) -> None:
        data = json.loads(fields["data"])
        if event == "hello" and self.position is None:
            self.position = parse_position(data["cursor"])
        elif event == "gap":
            self._heed_gap(data, parse_position(fields["id"]))
        elif event == "message":
            self._heed_message(self.world.store.made[data["id"]])

    def _heed_gap(self, data: dict[str, object], resume: Position | None) -> None:
        assert self.position is not None
        assert resume is not None
        self.told.append(f"gap {data['reason']} at {self.position}, on from {resume}")
        if data["reason"] == "trimmed":
            assert resume.epoch == self.position.epoch or self.position.nowhere
            before = 0 if self.position.nowhere else self.position.seq
            assert data["missed"] == resume.seq - before, self.story("wrong count")
        else:
            assert not self.world.holds(self.position), self.story("a false reset")
        self.position = resume
        self.since_gap = []

    def _heed_message(self, entry: Entry) -> None:
        assert self.position is not None
        self.told.append(f"message {entry.position}")
        first = self.position.nowhere and entry.position.seq == 1
        assert first or entry.before == self.position, self.story(f"{entry.position} does not follow")
        self.position = entry.position
        self.since_gap.append(entry.position)

    def story(self, what: str) -> str:
        """What this reader and the log went through."""
        return "\n".join(
            [f"seed {self.world.seed}: {what}; at {self.position}", *self.told[-12:], *self.world.story[-25:]]
        )


class World:
    """One log, two processes, some readers, and whatever befalls them."""

    def __init__(self, seed: int) -> None:
        self.seed = seed
        self.dice = random.Random(seed)
        self.store = ModelStore(cap=20, page=8, latency=0.005)
        self.late: list[list[Entry]] = []
        self.story: list[str] = []
        self.broken: list[AssertionError] = []
        self.feeds = [Feeds(self.store, SETTINGS, self.store.clock.now) for _ in range(2)]
        self.readers = [Reader(self, number % 2) for number in range(4)]

    def holds(self, position: Position) -> bool:
        """True where a reader at this position has a place in the log as it is now."""
        log = self.store.logs["c"]
        if position.nowhere:
            return True
        return any(position in (entry.position, entry.before) for entry in log)

    def note(self, what: str) -> None:
        self.story.append(f"{asyncio.get_running_loop().time():8.2f} {what}")

    def append(self) -> None:
        entries = self.store.append("c", *("1" * self.dice.randint(1, 3)))
        self.note(f"append {entries[0].position}…{entries[-1].position} {'' if self.store.notify else 'untold'}")
        if self.dice.random() < 0.2:
            self.late.append(entries)

    def lose_writes(self) -> None:
        lost = self.store.forget_last("c", min(self.dice.randint(1, 4), len(self.store.logs["c"])))
        self.note(f"lost {[str(entry.position) for entry in lost]}")

    def wipe(self) -> None:
        self.store.wipe("c")
        self.note("wiped")

    def mute(self) -> None:
        self.store.notify = not self.store.notify
        self.note(f"notices {'on' if self.store.notify else 'off'}")

    def tell_late(self) -> None:
        if self.late:
            self.store.tell("c", self.late.pop(self.dice.randrange(len(self.late))))
            self.note("a late notice")

    def lag(self) -> None:
        self.store.lag = self.dice.choice([0.0, 0.0, 0.5, 2.0])
        self.note(f"replica lags {self.store.lag}")

    async def swap(self) -> None:
        """One reader is cut, stays away for a while, and comes back to any process."""
        reader = self.dice.choice(self.readers)
        await reader.cut()
        for _ in range(self.dice.randint(0, 3)):
            self.append()
        await asyncio.sleep(self.dice.choice([0, 0.1, 4]))
        reader.process = self.dice.randrange(2)
        self.note(f"reconnects with {reader.cursor}")
        await reader.connect()

    async def live(self, steps: int, *, rewrites: bool) -> None:
        """Random steps at random times."""
        calm: list[Callable[[], None]] = [self.append] * 8 + [self.mute, self.tell_late, self.lag]
        rough: list[Callable[[], None]] = [self.lose_writes, self.lose_writes, self.wipe] if rewrites else []
        for _ in range(steps):
            if self.dice.random() < 0.15:
                await self.swap()
            else:
                self.dice.choice(calm + rough)()
            await asyncio.sleep(self.dice.choice([0, 0, 0.01, 0.2, 1, 3.5]))

    async def run(self, *, rewrites: bool) -> None:
        """A life, then calm, then the last law."""
        self.append()
        for reader in self.readers:
            await reader.connect()
        await settle()
        await self.live(40, rewrites=rewrites)
        self.store.notify, self.store.lag = True, 0.0
        self.append()
        await advance(40)
        for error in self.broken:
            raise error
        log = [entry.position for entry in self.store.logs["c"]]
        for reader in self.readers:
            assert reader.position == log[-1], reader.story(f"not at the head {log[-1]}")
            lost = [p for p in reader.since_gap if p not in log and (p.epoch, p.seq) >= (log[0].epoch, log[0].seq)]
            assert not lost, reader.story(f"{lost} are not in the log, and nobody said so")
            await reader.cut()
        for feeds in self.feeds:
            await feeds.close()


def run(seeds: range, *, rewrites: bool) -> None:
    for seed in seeds:
        with asyncio.Runner(loop_factory=VirtualLoop) as runner:
            runner.run(_run(seed, rewrites))


async def _run(seed: int, rewrites: bool) -> None:
    await World(seed).run(rewrites=rewrites)


# HISTORIES=10000 for a long look; every seed is another history.
HISTORIES = int(os.environ.get("HISTORIES", "300"))


@pytest.mark.timeout(600 if HISTORIES > 1000 else 60)
@pytest.mark.parametrize("part", range(2))
def test_random_histories(part: int) -> None:
    run(range(part, HISTORIES, 2), rewrites=True)


def test_random_histories_without_rewrites_never_reset() -> None:
    run(range(100), rewrites=False)
