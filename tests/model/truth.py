"""What one channel must be: the log, what is gone from it and why, and which keys are remembered. Small and obvious."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from gapless.api.schemas import Message
from gapless.log.cursor import Position, new_epoch, parse_position, start_of
from gapless.log.entries import Entry
from gapless.log.receipts import Marks

if TYPE_CHECKING:
    from collections.abc import Sequence

CAP = 20
IdempotencyKey = tuple[str, str | None, str]
"""Kind (of one message, of a batch), user, id."""
Content = tuple[Any, ...]


@dataclass
class Truth:
    """`made` is every entry there ever was; `gone` the places that were taken from the log, not trimmed.

    `marks`: how far each user has got; `forgotten`: the channel was deleted, and the marks with it;
    `strict`: no two logs of it begin in the same second.
    """

    channel: str
    log: list[Entry] = field(default_factory=list)
    made: dict[Position, Entry] = field(default_factory=dict)
    gone: set[Position] = field(default_factory=set)
    dead: set[str] = field(default_factory=set)
    keys: dict[IdempotencyKey, tuple[Content, list[str]]] = field(default_factory=dict)
    marks: dict[str, Marks] = field(default_factory=dict)
    forgotten: bool = False
    strict: bool = True

    @property
    def end(self) -> Position | None:
        return self.log[-1].position if self.log else None

    def is_gone(self, place: Position) -> bool:
        """True where a reader that stands here may be told of a reset."""
        return place in self.gone or place.epoch in self.dead

    def at_end(self, place: Position | None) -> bool:
        """True where a reader that stands here has everything."""
        return place is not None and (place == self.end if self.log else place.nowhere)

    def holds(self, id_: str) -> bool:
        """This log has, or had before it was trimmed, a message there: only then its key counts."""
        place = parse_position(id_)
        end = self.end
        return place is not None and end is not None and place.epoch == end.epoch and place.seq <= end.seq

    # --- what ought to happen

    def expect(self, keys: Sequence[IdempotencyKey], contents: Sequence[Content]) -> tuple[int, list[str]]:
        """The status that a publish with these keys must get, and the ids where they are known already."""
        known = [self.keys[key] for key in keys if key in self.keys and self.holds(self.keys[key][1][0])]
        if not known:
            return 201, []
        same = len(known) == len(keys) and all(
            kept == content for (kept, _), content in zip(known, contents, strict=True)
        )
        return (200, [id_ for _, ids in known for id_ in ids]) if same else (409, [])

    # --- what has happened

    def append(self, ids: Sequence[str], bodies: Sequence[bytes]) -> list[Entry]:
        """A publish was answered with these ids; they must go on from the end, or begin a new epoch."""
        added = []
        for id_, body in zip(ids, bodies, strict=True):
            place = parse_position(id_)
            assert place is not None, id_
            before = self.end or start_of(place.epoch)
            assert place[:2] == (before.epoch, before.seq + 1), f"{place} after {before}"
            # Two of its digits are random: of logs that begin in one second, two have the same once in 1,296 times.
            assert place.epoch not in self.dead or not self.strict, f"{place}: an epoch comes once"
            self.dead.discard(place.epoch)
            added.append(Entry(place, before.mark, 0, body))
            self._keep(added[-1])
        return added

    def trim(self, kept: int) -> None:
        """So many are there after a publish."""
        assert min(len(self.log), CAP) <= kept <= CAP + CAP // 4, f"{kept} of {len(self.log)} kept"
        del self.log[: len(self.log) - kept]

    def rewrite(self, take: int, put: Sequence[Entry]) -> None:
        """A failover lost the last `take`, and others follow."""
        lost = self.log[len(self.log) - take :]
        self.gone |= {entry.position for entry in lost}
        del self.log[len(self.log) - take :]
        if lost and not self.log:
            self.dead.add(lost[0].position.epoch)
        for entry in put:
            self._keep(entry)

    def forget(self) -> None:
        """Deleted."""
        self.rewrite(len(self.log), ())
        self.marks.clear()
        self.forgotten = True

    def _keep(self, entry: Entry) -> None:
        self.log.append(entry)
        self.made[entry.position] = entry

    # --- what others might write

    def forge(self, before: Position | None, chance: Sequence[str], now: float) -> list[Entry]:
        """Entries that follow this place as if published, one for each mark; a new log's where there is none."""
        place = before or start_of(new_epoch(now, chance[0][-2:]))
        forged = []
        for number, mark in enumerate(chance):
            body = Message(data=f"forged {number}").draft("raw").body
            forged.append(Entry(Position(place.epoch, place.seq + 1, mark), place.mark, int(now * 1000), body))
            place = forged[-1].position
        return forged

    def hears(self, foreign: Sequence[Entry]) -> None:
        """A primary that was deposed tells of these: readers may see them, and must then be told that they are gone."""
        for entry in foreign:
            self.made[entry.position] = entry
            self.gone.add(entry.position)
