"""Receipts: how far each user has got in a channel. Marks only go up. Pure. (docs/protocol.md, 9.7)"""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from typing import Any, NamedTuple

from gapless.log.cursor import Position, parse_position

MOST_USERS = 1000
MOST_BYTES = 32_768
"""Of the JSON that tells all marks of a channel. Beyond either the oldest eighth gives way."""
AHEAD = 90.0
"""Seconds by which an epoch may begin later than this instance's clock says: clocks differ."""

_ID = r"[0-9a-z]{8}-[1-9][0-9]{0,14}-[0-9a-z]{4}|-"
_RECEIPT = re.compile(rf"!r ({_ID}) ({_ID}) ([^\x00-\x1f\x7f]{{1,128}})", re.ASCII)
_STORED = re.compile(rf"({_ID}) ({_ID}) [0-9]+", re.ASCII)


class Marks(NamedTuple):
    """The furthest message that a user has, and the furthest that he has read."""

    delivered: Position | None = None
    read: Position | None = None

    def raised(self, to: Marks) -> Marks:
        """Whatever is further, by epoch and seq. What is read is delivered."""
        return Marks(_furthest(self.delivered, to.delivered, to.read), _furthest(self.read, to.read))


def _furthest(held: Position | None, *others: Position | None) -> Position | None:
    for other in others:
        if other is not None and (held is None or other[:2] > held[:2]):
            held = other
    return held


class Receipt(NamedTuple):
    """A user says how far he has got. `now`: milliseconds since 1970."""

    channel: str
    user: str
    marks: Marks
    now: int


def format_mark(mark: Position | None) -> str:
    """As it is stored and told; `-` for none."""
    return "-" if mark is None else str(mark)


def parse_marks(delivered: str, read: str) -> Marks:
    """What two texts of `format_mark` say."""
    return Marks(parse_position(delivered), parse_position(read))


def format_receipt(user: str, marks: Marks) -> bytes:
    """The notice of a user's marks, as `stores/lua/receipt.lua` writes it."""
    return f"!r {format_mark(marks.delivered)} {format_mark(marks.read)} {user}".encode()


def parse_receipt(notice: bytes) -> tuple[str, Marks] | None:
    """The user and his marks, None where the notice tells of something else, or of nothing of ours."""
    found = _RECEIPT.fullmatch(notice.decode(errors="replace"))
    return None if found is None else (found[3], parse_marks(found[1], found[2]))


def read_marks(flat: Sequence[str]) -> dict[str, Marks]:
    """All marks, from names and values in turn; what is none of ours is left out, as is the field of no name."""
    found = {}
    for user, value in zip(flat[::2], flat[1::2], strict=True):
        if user and (stored := _STORED.fullmatch(value)):
            found[user] = parse_marks(stored[1], stored[2])
    return found


def told(channel: str, marks: Mapping[str, Marks], *, whole: bool) -> dict[str, Any]:
    """As streams and replies tell them. `whole`: there are no others."""
    receipts = {
        user: {name: None if mark is None else str(mark) for name, mark in one._asdict().items()}
        for user, one in marks.items()
    }
    return {"channel": channel, "receipts": receipts, "whole": whole}
