"""What notices claim and the chain does not prove. Pure: `now` is any clock's seconds.

A claim proves nothing by itself: it makes the feed read the log, and the log decides. What the log does not confirm in
time came from a deposed primary or a stranger, and is dropped.
"""

from __future__ import annotations

from collections.abc import Iterable

from app.cursor import Position
from app.events import Entry
from app.tail import Tail

CONFIRM = 3.0
"""Seconds in which the log must confirm what a notice or a cursor claims."""
MOST_CLAIMS = 256


class Claims:
    """Entries that wait for the log's word; the oldest are dropped where there are too many."""

    def __init__(self) -> None:
        self._waiting: list[tuple[float, Entry]] = []

    def __len__(self) -> int:
        return len(self._waiting)

    def add(self, now: float, entries: Iterable[Entry]) -> None:
        """Somebody claims these entries."""
        self._waiting = [*self._waiting, *((now, entry) for entry in entries)][-MOST_CLAIMS:]

    def settle(self, now: float, began: float, newest: Position | None, tail: Tail) -> list[Entry]:
        """After a read that began at `began` and found `newest`: the claims that the chain proves now, in order.

        Dropped: what the tail holds, what the log contradicts, what it has not confirmed for too long.
        """
        proven: list[Entry] = []
        head = tail.head
        waiting, self._waiting = sorted(self._waiting, key=lambda claim: claim[1].position), []
        for since, entry in waiting:
            if entry.follows(head):
                proven.append(entry)
                head = entry.position
            elif tail.find(entry.position, 0) is None and self._may_come(since, entry, now, began, newest):
                self._waiting.append((since, entry))
        return proven

    @staticmethod
    def _may_come(since: float, entry: Entry, now: float, began: float, newest: Position | None) -> bool:
        """True where the log may still confirm: the claim is younger than the read, or lies past what it found."""
        past = newest is None or entry.position[:2] > newest[:2]
        return now - since < CONFIRM and (past or since >= began)

    def unasked(self, began: float) -> bool:
        """True where a claim came in since the read began, so that the read may not have seen it."""
        return any(since >= began for since, _ in self._waiting)
