"""What the scripts answer, read into the log's own types. Replies hold bytes (TCP) or text (REST)."""

from __future__ import annotations

from collections.abc import Sequence
from itertools import pairwise
from typing import Any

from gapless.log.cursor import Position
from gapless.log.entries import Entry, format_entry, parse_entry, parse_link
from gapless.log.errors import CorruptLog
from gapless.log.publication import Accepted, KeyConflict, Limited, Outcome, Publication, Repeated
from gapless.log.store import Slice


def read_outcome(publication: Publication, reply: Sequence[Any]) -> tuple[Outcome, bool]:
    """What `stores/lua/publish.lua` answered, and whether it has notified the subscribers."""
    match [text(part) for part in reply]:
        case ["accepted", epoch, seq, prev, notified, start]:
            return Accepted(_numbered(publication, epoch, int(seq), prev, int(start))), notified == "1"
        case ["repeated", *values]:
            return _repeated(publication, values), True
        case ["conflict", known, same]:
            return KeyConflict(int(known), int(same)), True
        case ["limited", wait]:
            return Limited(int(wait)), True
    raise CorruptLog(f"publish.lua answered {reply!r:.100}")


def read_slice(reply: Sequence[Any], first: int, last: int, back: bool = False) -> Slice:
    """What `stores/lua/slice.lua` answered to these questions; raises CorruptLog unless the entries are a chain in its
    place."""
    if not reply:
        return Slice()
    oldest, latest = (parse_link(_bytes(raw)) for raw in reply[:2])
    entries = read_entries(reply[2:])
    if entries:
        begun = entries[-1 if back else 0].position
        due = min(last, latest.position.seq) if back else max(first, oldest.position.seq)
        if begun.seq != due:
            raise CorruptLog(f"the log breaks at {begun}, where {due} is due")
    return Slice(tuple(entries), oldest, latest)


def read_entries(reply: Sequence[Any]) -> list[Entry]:
    """The entries that LRANGE answered; raises CorruptLog unless they form one chain."""
    entries = [parse_entry(_bytes(raw)) for raw in reply]
    for earlier, later in pairwise(entries):
        if not later.follows(earlier.position):
            raise CorruptLog(f"the log breaks between {earlier.position} and {later.position}")
    return entries


def _numbered(publication: Publication, epoch: str, seq: int, prev: str, start: int) -> tuple[Entry, ...]:
    """The entries as the script has written them."""
    entries: list[Entry] = []
    for mark, draft in zip(publication.marks, publication.drafts, strict=True):
        if entries:
            seq, prev, start = seq + 1, entries[-1].position.mark, start + len(format_entry(entries[-1]))
        entries.append(Entry(Position(epoch, seq, mark), prev, publication.now, draft.body, start))
    return tuple(entries)


def _repeated(publication: Publication, values: list[str]) -> Repeated | KeyConflict:
    """The remembered ids: of the key for all, where there is one, else of each message's own key.

    A batch in which a message has no key may be known by the others, but nobody can know whether this one was sent.
    """
    if not publication.repeatable:
        return KeyConflict(len(values), len(values))
    if publication.key is not None:
        values = values[:1]
    ids: list[Position] = []
    time = 0
    for value in values:
        _, told, epoch, first, marks = value.split(" ")
        time = int(told)
        ids += [Position(epoch, int(first) + i, mark) for i, mark in enumerate(marks.split(","))]
    return Repeated(tuple(ids), time)


def text(part: Any) -> str:
    """A part of a reply, which is bytes over TCP and text over REST."""
    return part.decode() if isinstance(part, bytes) else str(part)


def _bytes(part: Any) -> bytes:
    return part if isinstance(part, bytes) else str(part).encode()
