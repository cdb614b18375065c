"""Failovers that lost acknowledged writes: who had seen them, in which situation they were told, and who was not."""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

    from gapless.log.cursor import Position
    from tests.model.reader import Reader

SITUATIONS = (
    "live",  # on the stream that was open all the time
    "on resume",  # it came back to a log that had gone on past its place, with other messages
    "ahead",  # it came back to a log that ended before its place
    "quiet",  # nothing was appended between the loss and the reset
    "first notices lost",  # of what was appended since, the first was told to nobody, and something later was
)


@dataclass
class Loss:
    """A reader whose place is gone; `notified`: of each append since, whether there was a notice."""

    place: Position
    away: bool
    came_back: str = ""
    wiped: bool = False
    notified: list[bool] = field(default_factory=list)

    def situations(self) -> Iterable[str]:
        """In which of the SITUATIONS its reader is told now."""
        if self.wiped:  # what a wipe alone would have told
            return
        if not self.away:
            yield "live"
        elif self.came_back:
            yield self.came_back
        if not self.notified:
            yield "quiet"
        elif not self.notified[0] and any(self.notified):
            yield "first notices lost"


class Failovers:
    """`seen` counts losses by how they were told; whoever has not been told yet is `open`."""

    def __init__(self) -> None:
        self.seen: Counter[str] = Counter()
        self.open: dict[Reader, Loss] = {}

    def lost(self, places: Sequence[Position], readers: Iterable[Reader]) -> None:
        """These places are gone from the log."""
        for reader in readers:
            if reader.position in places and reader not in self.open:
                assert reader.position is not None
                self.open[reader] = Loss(reader.position, away=not reader.here)

    def appended(self, notified: bool) -> None:
        """The log went on."""
        for loss in self.open.values():
            loss.notified.append(notified)

    def wiped(self) -> None:
        """The log is gone, too."""
        for loss in self.open.values():
            loss.wiped = True

    def cut(self, reader: Reader) -> None:
        """Its stream is gone."""
        if reader in self.open:
            self.open[reader].away = True

    def comes_back(self, reader: Reader, end: Position | None) -> None:
        """It asks for what comes after its place, of a log that ends here."""
        if reader in self.open:
            place = self.open[reader].place
            longer = end is not None and (end.epoch, end.seq) >= (place.epoch, place.seq)
            self.open[reader].came_back = "on resume" if longer else "ahead"

    def told(self, reader: Reader, reason: str) -> None:
        """It was sent a gap."""
        loss = self.open.pop(reader, None)
        if loss is None:
            return
        self.seen["losses"] += 1
        self.seen.update(loss.situations() if reason == "reset" else [reason])
