"""The newest entries of a channel as frames, and what follows from them. Pure. (docs/architecture.md)

The log is the truth. A tail is a copy of the log's end. Every frame in it is proven to follow the one before it: the
same epoch, the next number, and as its predecessor's mark the mark of that frame.
"""

from __future__ import annotations

from collections.abc import Sequence
from enum import Enum
from typing import NamedTuple

from gapless.channels.frames import Frame
from gapless.log.cursor import Position, start_of
from gapless.log.entries import Entry, Gap, GapReason
from gapless.log.store import Slice

MOST_FRAMES = 512
MOST_BYTES = 262_144
"""What a tail holds at most, give or take a quarter. A reader that needs older frames asks the log."""


class ReadResult(NamedTuple):
    """What comes after a position: frames, or first of all the news that some are missing. Both empty: nothing new."""

    frames: Sequence[Frame] = ()
    gap: Gap | None = None


class Relation(Enum):
    """How the newest entries of the log stand to a tail."""

    SAME = "same"
    GREW = "grew"
    HOLE = "hole"
    """The log went on further than the entries reach back, or has only begun."""
    BEHIND = "behind"
    """The log ends before the tail does: a replica lags, or acknowledged writes were lost. Time will tell which."""
    FORKED = "forked"
    """The log holds another history than the tail."""


class Tail:
    """A contiguous run of frames that ends at `head`; `base` is the position before its oldest frame."""

    def __init__(self, channel: str, base: Position, entries: Sequence[Entry] = (), kept: Sequence[Frame] = ()) -> None:
        self.channel = channel
        self.base = base
        self.frames = [*kept, *(Frame(channel, entry) for entry in entries)]
        self._bytes = sum(frame.size for frame in self.frames)
        self._shorten()

    @property
    def head(self) -> Position:
        """The position after the newest frame."""
        return self.frames[-1].position if self.frames else self.base

    def find(self, position: Position, retention: float) -> int | None:
        """The index of the frame that comes after `position`; None where this tail can't tell."""
        if position.nowhere:
            return self._find_start(position, retention)
        index = position.seq - self.base.seq
        if position.epoch != self.base.epoch or not 0 <= index <= len(self.frames):
            return None
        here = self.frames[index - 1].position if index else self.base
        return index if here == position else None

    def _find_start(self, position: Position, retention: float) -> int | None:
        """For a reader that saw no log: all of a log that can't have had a predecessor since."""
        if self.base.nowhere:
            return 0
        known = self.base.seq == 0 and self.base.began - position.began < retention
        return 0 if known else None

    def is_behind(self, position: Position) -> bool:
        """True where `position` lies past the head, or in a younger epoch: its reader saw more than this tail has."""
        if position.nowhere:
            return False
        if self.base.nowhere:
            return True
        return (position.epoch, position.seq) > (self.base.epoch, self.head.seq)

    def is_late(self, entry: Entry) -> bool:
        """True where it belongs before what is held, and is not the very last before it."""
        return self.is_older(entry.position) and entry.position != self.base

    def is_older(self, position: Position) -> bool:
        """True where `position` lies before all that is held here: this tail can't tell whether it was ever there."""
        return position.epoch == self.base.epoch and position.seq <= self.base.seq

    def count_in(self, size: int) -> int:
        """How many messages like those held here fit so many bytes; 0 where none is known."""
        return size * len(self.frames) // self._bytes if self.frames else 0

    def extend(self, entries: Sequence[Entry]) -> tuple[list[Frame], list[Entry]]:
        """Append what is proven to come next. Returns the new frames, and the entries that claim to come later.

        What is older than the base claims nothing: it was held here once, or never will be.
        """
        grown: list[Frame] = []
        claims: list[Entry] = []
        for entry in entries:
            if entry.follows(self.head):
                frame = Frame(self.channel, entry)
                self.frames.append(frame)
                self._bytes += frame.size
                grown.append(frame)
            elif self.find(entry.position, 0) is None and not self.is_older(entry.position):
                claims.append(entry)
        self._shorten()
        return grown, claims

    def deepen(self, entries: Sequence[Entry]) -> None:
        """Put what the log holds just before the base (contiguous, the base among it) in front."""
        older = [entry for entry in entries if entry.position.seq <= self.base.seq]
        if not older or older[-1].position != self.base:
            return
        frames = [Frame(self.channel, entry) for entry in older]
        self.frames[:0] = frames
        self._bytes += sum(frame.size for frame in frames)
        self.base = older[0].before
        self._shorten()

    def relate(self, entries: Sequence[Entry]) -> Relation:
        """How the log's newest entries (contiguous, oldest first) stand to this tail."""
        if self.base.nowhere:
            return Relation.HOLE if entries else Relation.SAME
        if not entries:
            return Relation.BEHIND
        newest = entries[-1].position
        if newest.epoch != self.base.epoch:
            return Relation.FORKED if newest.epoch > self.base.epoch else Relation.BEHIND
        if newest.seq < self.base.seq:
            return Relation.BEHIND
        if entries[0].before.seq > self.head.seq:
            return Relation.HOLE
        if self.shared(entries) != min(newest, self.head, key=lambda p: p.seq):
            return Relation.FORKED
        if newest.seq < self.head.seq:
            return Relation.BEHIND
        return Relation.SAME if newest == self.head else Relation.GREW

    def shared(self, entries: Sequence[Entry]) -> Position | None:
        """The newest position that both this tail and the log's newest entries went through."""
        for entry in reversed(entries):
            if self.find(entry.position, 0) is not None:
                return entry.position
        return entries[0].before if entries and self.find(entries[0].before, 0) is not None else None

    def rewritten(self, entries: Sequence[Entry], shared: Position | None, empty: Position) -> Tail:
        """The tail of the log as it is now: ours up to `shared`, the log's from there, or `empty`."""
        if shared is not None:
            kept = [frame for frame in self.frames if frame.position.seq <= shared.seq]
            return Tail(self.channel, self.base, [e for e in entries if e.position.seq > shared.seq], kept)
        return Tail(self.channel, entries[0].before if entries else empty, entries)

    def _shorten(self) -> None:
        """Drop the oldest frames once a quarter too many are there; the newest always stays."""
        if len(self.frames) <= MOST_FRAMES * 5 // 4 and self._bytes <= MOST_BYTES * 5 // 4:
            return
        drop, size = 0, self._bytes
        while drop < len(self.frames) - 1 and (len(self.frames) - drop > MOST_FRAMES or size > MOST_BYTES):
            size -= self.frames[drop].size
            drop += 1
        if drop:  # one frame alone may be too large, and stays
            self.base, self._bytes = self.frames[drop - 1].position, size
            del self.frames[:drop]


def resolve_position(channel: str, position: Position, cut: Slice, retention: float) -> ReadResult | None:
    """What the log says comes after `position`, from a slice that begins beside it; None: it is past the log's end."""
    if cut.oldest is None or cut.latest is None:
        return ReadResult() if position.nowhere else None
    oldest, latest = cut.oldest.before, cut.latest.position
    if position.nowhere:
        if oldest.began - position.began >= retention:
            return ReadResult(gap=reset(cut, oldest))
        position = start_of(oldest.epoch)
    if (position.epoch, position.seq) > (latest.epoch, latest.seq):
        return None
    if position.epoch == oldest.epoch and position.seq < oldest.seq:
        missed = oldest.seq - position.seq
        return ReadResult(gap=Gap(GapReason.TRIMMED, oldest, cut.oldest.position, latest, missed))
    if position == latest:
        return ReadResult()
    if not cut.entries or not cut.entries[0].follows(position):
        return ReadResult(gap=reset(cut, oldest))
    return ReadResult([Frame(channel, entry) for entry in cut.entries])


def reset(cut: Slice, resume: Position, reason: GapReason = GapReason.RESET) -> Gap:
    """The gap `reset`: go on from the oldest message that is kept, or from `resume` if there is none."""
    if cut.oldest is None or cut.latest is None:
        return Gap(reason, resume, None, None)
    return Gap(reason, cut.oldest.before, cut.oldest.position, cut.latest.position)
