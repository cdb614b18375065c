"""What notices and readers claim and the chain does not prove yet. Pure: `now` is any clock's seconds.

A claim proves nothing by itself. It makes the feed read the log, and the log decides. A claim that the log does not
confirm in time came from a deposed primary or from a foreign program, and is dropped.
"""

from __future__ import annotations

from collections.abc import Iterable

from gapless.channels.tail import Tail
from gapless.log.cursor import Position
from gapless.log.entries import Entry

CONFIRM = 3.0
"""Seconds in which the log must confirm what a notice or a cursor claims."""
MOST_CLAIMS = 256
MEMORY = 10.0
"""Seconds for which it is remembered that a reader has waited: in these it has come back."""


class Claims:
    """Entries that the log has not confirmed yet; if there are too many, the oldest are dropped."""

    def __init__(self) -> None:
        self._waiting: list[tuple[float, int, Entry]] = []

    def __len__(self) -> int:
        return len(self._waiting)

    @property
    def newest(self) -> Position | None:
        """The newest position that is claimed."""
        return max((entry.position for _, _, entry in self._waiting), default=None)

    def add(self, now: float, reads: int, entries: Iterable[Entry]) -> None:
        """These entries are claimed after so many reads were begun: only a later read is sure to see them."""
        self._waiting = [*self._waiting, *((now, reads, entry) for entry in entries)][-MOST_CLAIMS:]

    def settle(self, now: float, reads: int, newest: Position | None, tail: Tail) -> list[Entry]:
        """After read number `reads`, which found `newest`: the claims that the chain proves now, in order.

        Dropped: what the tail holds, what the log contradicts, what it has not confirmed for too long.
        """
        proven: list[Entry] = []
        head = tail.head
        waiting, self._waiting = sorted(self._waiting, key=lambda claim: claim[2].position), []
        for since, heard, entry in waiting:
            if entry.follows(head):
                proven.append(entry)
                head = entry.position
            elif entry.position == head or tail.find(entry.position, 0) is not None:
                continue
            elif now - since < CONFIRM and (heard >= reads or newest is None or entry.position[:2] > newest[:2]):
                self._waiting.append((since, heard, entry))
        return proven

    def unasked(self, reads: int) -> bool:
        """True where a claim came in since read number `reads` began, so that it may not have seen it."""
        return any(heard >= reads for _, heard, _ in self._waiting)


class Doubts:
    """Whether the tail may lack something, and the last position that was named and that it does not hold."""

    def __init__(self) -> None:
        self._any = False
        self._told: Position | None = None

    def add(self, told: Position | None = None) -> None:
        """Until the next read."""
        if told is not None and (self._told is None or told[:2] > self._told[:2]):
            self._told = told
        self._any = True

    def take(self) -> tuple[Position | None, bool]:
        """A read begins, which answers them: that position, and whether there was any doubt."""
        taken = self._told, self._any
        self._told, self._any = None, False
        return taken


class Unknown:
    """The positions of readers that the log does not know, and since when each has been waited for.

    A connection may end before CONFIRM is over. Its reader goes on waiting at the next one and does not begin anew, or
    a reader whose connections all end sooner would never be told.
    """

    def __init__(self) -> None:
        self._waits: dict[Position, tuple[float, float]] = {}

    def since(self, position: Position, now: float) -> float:
        """When the first wait for it began; `now` where none did within MEMORY."""
        first, last = self._waits.get(position, (now, now))
        return first if now - last < MEMORY else now

    def wait(self, position: Position, now: float) -> None:
        """A reader waits for it, from now on or still. Of more than MOST_CLAIMS the longest unasked is forgotten."""
        first = self.since(position, now)
        self._waits.pop(position, None)
        self._waits[position] = first, now
        if len(self._waits) > MOST_CLAIMS:
            del self._waits[next(iter(self._waits))]
