"""A log that is a list, and the tails that hold some of it."""

from __future__ import annotations

from collections.abc import Sequence
from itertools import count

from hypothesis import strategies as st

from gapless.channels.frames import Frame
from gapless.channels.tail import Tail
from gapless.log.cursor import Position, base36, start_of
from gapless.log.entries import Entry
from gapless.log.store import Slice
from tests.testkit import strategies as some

CHANNEL = "c"
RETENTION = 1000.0
BEGAN = 1_767_225_600


class Log:
    """The log as a list, and every place that anybody may ever have been told of."""

    def __init__(self) -> None:
        self.entries: list[Entry] = []
        self.places: list[Position] = []
        self._chance = count(1)
        self._now = BEGAN

    @property
    def head(self) -> Position:
        if self.entries:
            return self.entries[-1].position
        self._now += 500
        return start_of(base36(self._now, 6) + base36(next(self._chance), 2)[-2:])

    @property
    def base(self) -> Position:
        return self.entries[0].before

    @property
    def history(self) -> list[Position]:
        """Where a reader of this very log may stand."""
        return [self.base, *(entry.position for entry in self.entries)] if self.entries else []

    def append(self, number: int) -> None:
        for _ in range(number):
            head = self.head
            place = Position(head.epoch, head.seq + 1, base36(next(self._chance), 4))
            self.entries.append(Entry(place, head.mark, 1, some.body(place.seq)))
            self.places += self.history[-2:]

    def trim(self, number: int) -> None:
        """The oldest go; the newest stays."""
        del self.entries[: max(0, min(number, len(self.entries) - 1))]

    def lose(self, number: int) -> None:
        """A failover that lost acknowledged entries."""
        self.entries = self.entries[: max(0, len(self.entries) - number)]

    def slice(self, first: int, last: int) -> Slice:
        """The port's promise, as a list keeps it."""
        if not self.entries:
            return Slice()
        found = tuple(entry for entry in self.entries if first <= entry.position.seq <= last)
        return Slice(found, self.entries[0].link, self.entries[-1].link)

    def happen(self, event: str, number: int) -> None:
        {"append": self.append, "trim": self.trim, "lose": self.lose}[event](number)


happenings = st.lists(
    st.tuples(st.sampled_from(["append", "append", "trim", "lose"]), st.integers(1, 9)), min_size=1, max_size=12
)


@st.composite
def logs(draw: st.DrawFn) -> Log:
    """A log with a past: some of it was trimmed, some rewritten, some wiped."""
    log = Log()
    log.append(draw(st.integers(0, 5)))
    for event, number in draw(happenings):
        log.happen(event, number)
    return log


def is_chain(base: Position, frames: Sequence[Frame]) -> bool:
    for frame in frames:
        if not frame.entry.follows(base):
            return False
        base = frame.position
    return True


def held(tail: Tail) -> list[Position]:
    return [tail.base, *(frame.position for frame in tail.frames)]


def tail_of(log: Log, first: int = 0, last: int | None = None) -> Tail:
    entries = log.entries[first:last]
    return Tail(CHANNEL, entries[0].before, entries)
