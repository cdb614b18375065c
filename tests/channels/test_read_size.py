"""How many entries a read asks for: what is missing where a tail can hold it, and never more than a page."""

from __future__ import annotations

from itertools import pairwise

import pytest

from gapless.channels.claims import Claims
from gapless.channels.read_size import LOOK, expected, lacking
from gapless.channels.tail import MOST_BYTES, Relation, Tail
from gapless.log.cursor import Position, no_log
from gapless.log.entries import Entry

PAGE = 64


def log(count: int, size: int = 1) -> list[Entry]:
    """So many messages, each with so many bytes of data."""
    body = b'{"event":"message","user":null,"data":"' + b"x" * size + b'","localId":null}'
    return [Entry(Position("t9x2k0ab", seq, f"{seq:04}"), f"{seq - 1:04}", 0, body) for seq in range(1, count + 1)]


def tail(entries: list[Entry]) -> Tail:
    return Tail("c", entries[0].before, entries)


def test_a_channel_that_nobody_knows_is_glanced_at() -> None:
    nowhere, claims = Tail("c", no_log(0)), Claims()
    assert expected(nowhere, claims, None, PAGE) == LOOK
    claims.add(0, 0, log(5))
    assert expected(nowhere, claims, None, PAGE) == 5
    assert expected(nowhere, claims, None, 3) == 3


def test_where_nothing_is_said_the_newest_alone_is_read() -> None:
    assert expected(tail(log(10)), Claims(), None, PAGE) == 1


def test_what_is_said_to_have_come_is_read() -> None:
    entries = log(20)
    held, claims = tail(entries[:10]), Claims()
    assert expected(held, claims, entries[16].position, PAGE) == 7
    claims.add(0, 0, entries[19:])
    assert expected(held, claims, entries[16].position, PAGE) == 10
    assert expected(held, claims, None, PAGE) == 10
    assert expected(held, claims, None, 4) == 4


def test_another_epoch_says_nothing_of_how_many() -> None:
    held = tail(log(10))
    assert expected(held, Claims(), Position("zzzzzzzz", 50, "aaaa"), PAGE) == 1


def test_what_a_tail_can_hold_of_a_hole_is_read_or_nothing() -> None:
    entries = log(200)
    held = tail(entries[:10])
    assert lacking(held, Relation.HOLE, entries[19:20], PAGE) == 10
    assert lacking(held, Relation.HOLE, entries[150:], PAGE) == 0
    assert lacking(Tail("c", no_log(0)), Relation.HOLE, entries[19:20], PAGE) == 0


def test_large_messages_are_read_in_fewer() -> None:
    entries = log(40, MOST_BYTES // 8)
    counts = [lacking(tail(entries[:10]), Relation.HOLE, entries[at : at + 1], PAGE) for at in range(10, 40)]
    assert counts[0] == 1
    assert counts[-1] == 0
    assert all(before >= after or after == before + 1 for before, after in pairwise(counts))


@pytest.mark.parametrize("relation", [one for one in Relation if one not in (Relation.HOLE, Relation.FORKED)])
def test_nothing_else_lacks_anything(relation: Relation) -> None:
    entries = log(20)
    assert lacking(tail(entries[:10]), relation, entries[10:], PAGE) == 0


def test_to_see_where_histories_part_a_page_is_read() -> None:
    entries = log(20)
    assert lacking(tail(entries[:10]), Relation.FORKED, entries[10:], PAGE) == PAGE
