"""Where a reader stands in one channel, and what it has passed over on its way there. Pure."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from tests.testkit.positions import Position


@dataclass
class Skipped:
    """Seqs `low` to `high` of an epoch, passed over between two events."""

    epoch: str
    low: int
    high: int
    events: tuple[int, int]


@dataclass
class Place:
    """Where a reader stands in one channel, which event brought it there, what it saw since the last `reset`."""

    at: Position | None = None
    event: int = -1
    seen: dict[str, int] = field(default_factory=dict)
    skipped: list[Skipped] = field(default_factory=list)

    def go(self, at: Position | None, event: int) -> None:
        self.at, self.event = at, event

    def fill(self, position: Position) -> bool:
        """True if this number was passed over before: it comes late, and is not lost."""
        for number, s in enumerate(self.skipped):
            if s.epoch == position.epoch and s.low <= position.seq <= s.high:
                halves = [(s.low, position.seq - 1), (position.seq + 1, s.high)]
                self.skipped[number : number + 1] = [
                    Skipped(s.epoch, low, high, s.events) for low, high in halves if low <= high
                ]
                return True
        return False
