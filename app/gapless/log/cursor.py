"""Ids, positions and cursors: where a reader stands in a channel. Pure. (docs/protocol.md, section 1)

A message id is `<epoch>-<seq>-<mark>`. A position in a channel is the id of the last message seen. A cursor is one
position per channel of a stream, joined by `.` in the order in which the request named the channels.
"""

from __future__ import annotations

import re
from collections.abc import Iterable
from typing import NamedTuple

_DIGITS = "0123456789abcdefghijklmnopqrstuvwxyz"
_ID = re.compile(r"([0-9a-z]{8})-([1-9][0-9]{0,14})-([0-9a-z]{4})", re.ASCII)
_START = re.compile(r"([0-9a-z]{6}|[0-9a-z]{8})-0-0", re.ASCII)

NO_MARK = "0"
"""The mark of the place before an epoch's first message, where there is no message to carry one."""


class Position(NamedTuple):
    """A place in a channel: just after the message `seq` of `epoch`, whose `mark` tells rewritten histories apart.

    `seq` 0 is the place before the epoch's first message. An `epoch` of six digits is not an epoch but a second: the
    reader looked then, and there was no log.
    """

    epoch: str
    seq: int
    mark: str

    def __str__(self) -> str:
        return f"{self.epoch}-{self.seq}-{self.mark}"

    @property
    def began(self) -> int:
        """The second (Unix time) in which the epoch began, or in which the reader saw no log."""
        return int(self.epoch[:6], 36)

    @property
    def nowhere(self) -> bool:
        """True where the reader saw no log at all."""
        return len(self.epoch) == 6


def base36(number: int, width: int) -> str:
    """`number` in base 36, padded with zeros to `width` digits, so that texts sort as numbers do."""
    digits = ""
    while number:
        number, digit = divmod(number, 36)
        digits = _DIGITS[digit] + digits
    return digits.rjust(width, "0")


def next_mark(mark: str) -> str:
    """Another mark of the same length."""
    return base36((int(mark, 36) + 1) % 36 ** len(mark), len(mark))


def new_epoch(now: float, two_digits: str) -> str:
    """The epoch that a log begun at `now` (Unix seconds) gets; `two_digits` are random."""
    return base36(int(now), 6) + two_digits


def start_of(epoch: str) -> Position:
    """The position before an epoch's first message."""
    return Position(epoch, 0, NO_MARK)


def no_log(now: float) -> Position:
    """The position of a reader that found no log at `now` (Unix seconds)."""
    return Position(base36(int(now), 6), 0, NO_MARK)


def parse_position(text: str) -> Position | None:
    """The position that `text` names, or None where it names none."""
    if found := _ID.fullmatch(text):
        return Position(found[1], int(found[2]), found[3])
    if found := _START.fullmatch(text):
        return start_of(found[1])
    return None


def format_cursor(positions: Iterable[Position]) -> str:
    """One position per channel, joined by dots."""
    return ".".join(map(str, positions))


def parse_cursor(text: str, channels: int) -> tuple[Position, ...] | None:
    """The positions of a cursor for so many channels, or None where `text` is not such a cursor."""
    parts = text.split(".", channels)
    if len(parts) != channels:
        return None
    positions = tuple(parse_position(part) for part in parts)
    return None if None in positions else positions  # type: ignore[return-value]
