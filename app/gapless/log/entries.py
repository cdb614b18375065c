"""What is stored and what readers are told: drafts, log entries, gaps. Pure. (docs/protocol.md, sections 1 to 4)

An entry, in the log and in a notice, is `epoch seq mark prev time start` and then one line of JSON that no script
decodes. `prev` is the mark of the entry before it, which makes the log a chain: two histories with the same numbers and
a different past can always be told apart. `start` is for the script that trims; entries of older versions lack it.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass, field
from enum import StrEnum
from typing import NamedTuple

from gapless.log.cursor import Position
from gapless.log.errors import CorruptLog

BATCH_SEPARATOR = b"\t"
"""Between the entries of one notice. JSON writes a tab inside a string as \\t, so none can stand in an entry."""

HINT = b"?"
"""Opens a notice that names only the newest position, because its entries were too large to send along."""

ENVELOPE = 2048
"""Bytes that a stored message has beside its `data`, at most: its event's name, its user and its localId, escaped."""

_PLACE = rb"([0-9a-z]{8}) ([1-9][0-9]{0,14}) ([0-9a-z]{4})"
_HINT = re.compile(_PLACE)
_LINK = re.compile(_PLACE + rb" ([0-9a-z]{4}|0) ([0-9]{1,14})")
_HEAD = re.compile(_LINK.pattern + rb" (?:(0|[1-9][0-9]{0,15}) )?(?=\{\"event\":\"[A-Za-z0-9_.:-]{1,64}\")")


class Draft(NamedTuple):
    """A message on its way to the log: `body` is one line of JSON, `digest` tells contents apart under one id."""

    body: bytes
    digest: str
    user: str | None = None
    local_id: str | None = None


class Link(NamedTuple):
    """Where an entry stands, without what it says. `prev` is the mark of the entry before it."""

    position: Position
    prev: str

    @property
    def before(self) -> Position:
        """The position just before the entry."""
        return Position(self.position.epoch, self.position.seq - 1, self.prev)


@dataclass(frozen=True, slots=True)
class Entry:
    """A message in the log. `time` is the service's clock in milliseconds since 1970; order is by seq alone.

    `start`: bytes of all entries of its epoch before this one, None where an older version wrote it.
    """

    position: Position
    prev: str
    time: int
    body: bytes
    start: int | None = field(default=None, compare=False)

    @property
    def before(self) -> Position:
        """The position just before this entry."""
        return Position(self.position.epoch, self.position.seq - 1, self.prev)

    @property
    def link(self) -> Link:
        """Where this entry stands."""
        return Link(self.position, self.prev)

    def follows(self, head: Position) -> bool:
        """True where this entry is proven to come right after `head`: same epoch, next number, and head's mark."""
        return self.before == head


def format_entry(entry: Entry) -> bytes:
    """The bytes of an entry as `stores/lua/publish.lua` writes them."""
    epoch, seq, mark = entry.position
    start = "" if entry.start is None else f"{entry.start} "
    return f"{epoch} {seq} {mark} {entry.prev} {entry.time} {start}".encode() + entry.body


def parse_entry(raw: bytes) -> Entry:
    """The entry that `raw` holds; raises CorruptLog where it is none of ours and so might forge a block."""
    head = _HEAD.match(raw)
    if head is None or b"\n" in raw or b"\r" in raw or not raw.endswith(b"}"):
        raise CorruptLog(f"not an entry of ours: {raw[:60]!r}")
    start = None if head[6] is None else int(head[6])
    return Entry(_position(head), head[4].decode(), int(head[5]), raw[head.end() :], start)


def parse_link(raw: bytes) -> Link:
    """The head of an entry, as `stores/lua/slice.lua` cuts it off; raises CorruptLog where it is none of ours."""
    if (found := _LINK.fullmatch(raw)) is None:
        raise CorruptLog(f"not the head of an entry of ours: {raw[:60]!r}")
    return Link(_position(found), found[4].decode())


def format_notice(entries: Sequence[Entry], limit: int) -> bytes:
    """The notice of these entries, as `stores/lua/publish.lua` writes it; above `limit` bytes only the newest
    position."""
    notice = BATCH_SEPARATOR.join(format_entry(entry) for entry in entries)
    epoch, seq, mark = entries[-1].position
    return notice if len(notice) <= limit else HINT + f"{epoch} {seq} {mark}".encode()


def parse_notice(payload: bytes) -> list[Entry] | Position:
    """The entries of a notice, or the newest position where they were too large to travel; raises CorruptLog."""
    if not payload.startswith(HINT):
        return [parse_entry(raw) for raw in payload.split(BATCH_SEPARATOR)]
    if (place := _HINT.fullmatch(payload, 1)) is None:
        raise CorruptLog(f"not a notice of ours: {payload[:60]!r}")
    return _position(place)


def _position(found: re.Match[bytes]) -> Position:
    return Position(found[1].decode(), int(found[2]), found[3].decode())


class GapReason(StrEnum):
    """Why a reader is told of a gap."""

    TRIMMED = "trimmed"
    RESET = "reset"
    UNKNOWN = "unknown"


class Gap(NamedTuple):
    """What a reader is told before the first message after a hole. `resume` is the position from which it goes on."""

    reason: GapReason
    resume: Position
    oldest: Position | None
    latest: Position | None
    missed: int | None = None
