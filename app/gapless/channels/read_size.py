"""How many entries a read of the log asks for. Pure."""

from __future__ import annotations

from collections.abc import Sequence

from gapless.channels.claims import Claims
from gapless.channels.tail import MOST_BYTES, Relation, Tail
from gapless.log.cursor import Position
from gapless.log.entries import Entry

LOOK = 2
"""Entries that the first read of a channel brings, whose size is not known yet: one command, and at most 256 KiB by
the default GAPLESS_MAX_BODY."""


def expected(tail: Tail, claims: Claims, told: Position | None, page: int) -> int:
    """How many to read: what is said to have come after the head, else the newest alone. `told`: the log goes so far.

    `page`: the most that a read may bring.
    """
    if tail.base.nowhere:
        return max(LOOK, min(len(claims), page))
    known = claims.newest if told is None else max(told, claims.newest or told)
    if known is None or known.epoch != tail.base.epoch:
        return 1
    return _affordable(tail, known.seq - tail.head.seq, page)


def lacking(tail: Tail, relation: Relation, entries: Sequence[Entry], page: int) -> int:
    """How many of the newest entries are needed to go on after the head, or to see where histories part.

    0 if none are needed, or too many: a reader that needs older ones asks the log. `relation`: of the tail to
    `entries`, which were read.
    """
    if relation is Relation.HOLE and not tail.base.nowhere:
        count = entries[-1].position.seq - tail.head.seq
        return count if _affordable(tail, count, page) == count else 0
    return _affordable(tail, page, page) if relation is Relation.FORKED else 0


def _affordable(tail: Tail, count: int, page: int) -> int:
    """As many of these entries as a tail can hold."""
    return max(1, min(count, max(LOOK, tail.count_in(MOST_BYTES)), page))
