"""A small world in which nothing goes wrong: it publishes, trims, wipes, fails over and reads by the wire contract.

What it leaves behind is a correct `History`, on which the checker must find nothing. For the checker's own tests.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from tests.testkit.history import History, Logged
from tests.testkit.positions import Position

if TYPE_CHECKING:
    from random import Random

    from tests.testkit.reader_log import ReaderLog

_DIGITS = "0123456789abcdefghijklmnopqrstuvwxyz"


@dataclass(frozen=True)
class Entry:
    """A message in the world's log, with the place it follows."""

    place: Position
    before: Position
    content: str


@dataclass
class Log:
    entries: list[Entry] = field(default_factory=list)
    epochs: int = 0

    def append(self, content: str, mark: str) -> Entry:
        if not self.entries:
            self.epochs += 1
            before = Position(f"t9x2k{self.epochs}aa", 0, "0")
        else:
            before = self.entries[-1].place
        entry = Entry(Position(before.epoch, before.seq + 1, mark), before, content)
        self.entries.append(entry)
        return entry


class Reader:
    """One stream of the world, over all its channels."""

    def __init__(self, log: ReaderLog, places: dict[str, Position]) -> None:
        self.log = log
        self.places = places

    @property
    def cursor(self) -> str:
        return ".".join(self.places[name].id for name in self.log.channels)


class World:
    """`with_log`: the history ends with the final logs; without, it tells each trim as a fact."""

    def __init__(self, channels: tuple[str, ...], *, with_log: bool, dice: Random) -> None:
        self.history = History()
        self.logs = {name: Log() for name in channels}
        self.readers: list[Reader] = []
        self.with_log = with_log
        self.dice = dice
        self._number = 0

    def publish(self, channel: str) -> None:
        """One attempt: mostly acknowledged, sometimes repeated, unanswered or refused."""
        self._number += 1
        who, content = self.dice.choice(["ann", "bob"]), f"c{self._number // 2}"
        key = f"k{self._number}" if self.dice.random() < 0.5 else None
        fate = self.dice.choices(["acked", "stored", "nothing", "refused", "again"], [6, 1, 1, 1, 2])[0]
        if fate == "refused":
            self.history.publish(channel, who, content, "refused", local_id=key)
        elif fate == "nothing":
            self.history.publish(channel, who, content, "unknown", local_id=key)
        elif fate == "stored":
            self.logs[channel].append(content, self._mark())
            self.history.publish(channel, who, content, "unknown", local_id=key)
        else:
            entry = self.logs[channel].append(content, self._mark())
            if fate == "again":
                key = key or f"k{self._number}"
                self.history.publish(channel, who, content, "unknown", local_id=key)
            self.history.publish(channel, who, content, "acked", entry.place.id, local_id=key)
            if fate == "again":
                self.history.publish(channel, who, content, "duplicate", entry.place.id, local_id=key)

    def trim(self, channel: str) -> None:
        """Keep at least one message."""
        entries = self.logs[channel].entries
        if len(entries) > 1:
            count = self.dice.randrange(1, len(entries))
            if not self.with_log:
                self.history.trimmed(channel, entries[count - 1].place.id)
            del entries[:count]

    def wipe(self, channel: str) -> None:
        entries = self.logs[channel].entries
        if entries:
            self.history.wiped(channel, [entry.place.id for entry in entries])
            entries.clear()

    def fail_over(self, channel: str) -> None:
        """To a replica that lacks the newest messages, but not all."""
        entries = self.logs[channel].entries
        if len(entries) > 1:
            kept = self.dice.randrange(1, len(entries))
            self.history.rewritten(channel, [entry.place.id for entry in entries[kept:]])
            del entries[kept:]

    def join(self) -> None:
        """A new reader from now, or from the oldest message kept."""
        names = tuple(self.logs)
        early = self.dice.random() < 0.6
        places = {}
        for name, log in self.logs.items():
            if not log.entries:
                places[name] = Position(f"t9x2k{log.epochs}", 0, "0")
            else:
                places[name] = log.entries[0].before if early else log.entries[-1].place
        reader = Reader(self.history.reader(f"r{len(self.readers)}", names, must_reach_head=True), places)
        reader.log.hello(reader.cursor)
        self.readers.append(reader)

    def cut(self, reader: Reader) -> None:
        reader.log.cut() if self.dice.random() < 0.7 else reader.log.end("deadline")
        reader.log.reconnected(reader.cursor)
        reader.log.hello(reader.cursor)

    def read(self, reader: Reader, most: int) -> None:
        """Up to so many blocks, channels in random order."""
        for _ in range(most):
            names = [name for name in self.logs if self._next(reader, name) is not None]
            if not names:
                return
            self._deliver(reader, self.dice.choice(names))

    def finish(self) -> History:
        """Let every reader catch up, and write down the final logs."""
        for reader in self.readers:
            self.read(reader, 10_000)
        for name, log in self.logs.items():
            if self.with_log:
                self.history.final_log(name, [Logged(e.place.id, e.content) for e in log.entries])
            elif log.entries:
                self.history.expect_until({name: log.entries[-1].place.id})
        return self.history

    def _mark(self) -> str:
        return "".join(self.dice.choices(_DIGITS, k=4))

    def _next(self, reader: Reader, name: str) -> Entry | str | None:
        """The next message, or the reason of the gap before it; None when there is nothing to send."""
        at, entries = reader.places[name], self.logs[name].entries
        if not entries:
            return None
        first = entries[0]
        if at.nowhere:
            return first if first.place.seq == 1 else "trimmed"
        if at.epoch != first.place.epoch:
            return "reset"
        if at == entries[-1].place:
            return None
        for entry in entries:
            if entry.before == at:
                return entry
        return "trimmed" if at.seq < first.place.seq - 1 else "reset"

    def _deliver(self, reader: Reader, name: str) -> None:
        step = self._next(reader, name)
        entries = self.logs[name].entries
        if isinstance(step, Entry):
            reader.places[name] = step.place
            reader.log.message(name, step.place.id, step.content, cursor=reader.cursor)
        elif step is not None:
            at, first, last = reader.places[name], entries[0], entries[-1]
            on = self._shared(reader, name) if step == "reset" and self.dice.random() < 0.5 else first.before
            missed = on.seq - (0 if at.nowhere else at.seq) if step == "trimmed" else None
            reader.places[name] = on
            reader.log.gap(name, step, missed, first.place.id, last.place.id, reader.cursor)

    def _shared(self, reader: Reader, name: str) -> Position:
        """The newest entry that the reader's history and the present one share; else before the oldest."""
        told = {event.id for event in reader.log.events if hasattr(event, "content_key")}
        entries, at = self.logs[name].entries, reader.places[name]
        shared = [e.place for e in entries if e.place.id in told and e.place.seq < at.seq]
        return shared[-1] if shared and shared[-1].epoch == at.epoch else entries[0].before
