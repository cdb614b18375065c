"""The checker's own reading of ids and cursors. Pure, and shares nothing with the product on purpose.

`<epoch>-<seq>-<mark>` is a message; `<epoch>-0-0` the place before an epoch's first message;
`<second, 6 base-36 digits>-0-0` the place of a reader that met no log at that second.
"""

from __future__ import annotations

import re
from functools import lru_cache
from typing import NamedTuple

_FORM = re.compile(
    r"(?P<epoch>[0-9a-z]{8})-(?P<seq>[1-9][0-9]*)-(?P<mark>[0-9a-z]{4})"
    r"|(?P<start>[0-9a-z]{8}|[0-9a-z]{6})-0-0",
    re.ASCII,
)

UNSEEN = "????"
"""The mark of a place that was only told by its neighbour's number."""


class Position(NamedTuple):
    """A place in a channel: after message `seq` of `epoch` (0: before the first)."""

    epoch: str
    seq: int
    mark: str

    @property
    def id(self) -> str:
        return f"{self.epoch}-{self.seq}-{self.mark}"

    @property
    def before(self) -> Position:
        """The place just before this message."""
        return Position(self.epoch, self.seq - 1, UNSEEN if self.seq > 1 else "0")

    def agrees(self, other: Position) -> bool:
        """The same place, as far as it is known; all places before a first message count as one."""
        if self.seq == 0 == other.seq:
            return True
        return self[:2] == other[:2] and (self.mark == other.mark or UNSEEN in {self.mark, other.mark})

    @property
    def nowhere(self) -> bool:
        """No log was there yet; `epoch` is only the second in which that was seen."""
        return len(self.epoch) == 6

    @property
    def second(self) -> int:
        """The second (epoch time) that the epoch, or the place of no log, names."""
        return int(self.epoch[:6], 36)


@lru_cache(maxsize=1 << 16)
def parse_position(text: str) -> Position | None:
    """The position that `text` is, or None where it is none."""
    found = _FORM.fullmatch(text)
    if found is None:
        return None
    if found["start"]:
        return Position(found["start"], 0, "0")
    return Position(found["epoch"], int(found["seq"]), found["mark"])


def parse_message_id(text: str) -> Position | None:
    """As `parse_position`, for what must be a message's id: a place before a first message is none."""
    position = parse_position(text)
    return position if position is not None and position.seq else None


def parse_cursor(text: str | None, channels: int) -> list[Position] | None:
    """One position per channel, or None where `text` is not a cursor of so many channels."""
    if not text:
        return None
    found = [parse_position(part) for part in text.split(".")]
    whole = [position for position in found if position is not None]
    return whole if len(whole) == len(found) == channels else None
