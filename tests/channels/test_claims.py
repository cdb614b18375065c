"""Unproven notices: they wait for the log's word, and prove nothing without it."""

from __future__ import annotations

from dataclasses import replace

from hypothesis import given
from hypothesis import strategies as st

from gapless.channels.claims import CONFIRM, MEMORY, MOST_CLAIMS, Claims, Unknown
from gapless.channels.tail import Tail
from gapless.log.cursor import Position
from gapless.log.entries import Entry
from tests.testkit import strategies as some

BASE = Position("t9x2k0ab", 0, "0")


def chain(count: int, after: Position = BASE, marks: str = "a") -> list[Entry]:
    """So many entries after a position, in a history of their own."""
    entries: list[Entry] = []
    for number in range(after.seq + 1, after.seq + count + 1):
        place = Position(after.epoch, number, f"{marks}{number:03d}")
        entries.append(Entry(place, after.mark, 1, some.body(number)))
        after = place
    return entries


LOG = chain(10)


@given(st.integers(0, 10), st.permutations(LOG + LOG), st.integers(0, 20), st.integers(0, 10))
def test_whatever_the_order_the_chain_is_taken_up_as_far_as_it_is_whole(
    read: int, told: list[Entry], heard: int, newest: int
) -> None:
    tail = Tail("c", BASE, LOG[:read])
    claims = Claims()
    claims.add(0.0, 1, told[:heard])
    proven = claims.settle(0.5, 1, LOG[newest - 1].position if newest else None, tail)
    whole = [e for e in LOG[read:] if all(earlier in told[:heard] for earlier in LOG[read : e.position.seq])]
    assert proven == whole
    assert tail.extend(proven)[1] == []
    assert tail.head == (LOG[: read + len(whole)][-1].position if read + len(whole) else BASE)
    assert claims.settle(0.6, 2, LOG[-1].position, tail) == []


@given(st.lists(st.tuples(some.message_ids, some.marks), max_size=20), st.integers(0, 10))
def test_strangers_prove_nothing_and_are_dropped_in_time(strangers: list[tuple[Position, str]], read: int) -> None:
    tail = Tail("c", BASE, LOG[:read])
    claims = Claims()
    claims.add(0.0, 1, [Entry(place, mark, 1, some.body()) for place, mark in strangers])
    assert claims.settle(0.0, 1, tail.head, tail) == []
    assert claims.settle(CONFIRM, 1, tail.head, tail) == []
    assert len(claims) == 0


def test_a_claim_past_the_logs_end_waits_until_its_time_is_over() -> None:
    for now, left in ((0.0, 1), (CONFIRM - 0.01, 1), (CONFIRM, 0)):
        claims = Claims()
        claims.add(0.0, 0, [LOG[5]])
        assert claims.settle(now, 1, LOG[2].position, Tail("c", BASE, LOG[:3])) == []
        assert len(claims) == left


def test_what_the_log_contradicts_is_dropped_at_once() -> None:
    other = chain(6, marks="b")
    claims = Claims()
    claims.add(0.0, 0, other)
    assert claims.settle(0.0, 1, LOG[-1].position, Tail("c", BASE, LOG)) == []
    assert len(claims) == 0


def test_what_came_in_during_the_read_waits_for_the_next() -> None:
    other = replace(LOG[4], position=LOG[4].position._replace(mark="zzzz"), prev="yyyy")
    claims = Claims()
    claims.add(0.0, 1, [other])
    assert claims.unasked(1)
    claims.settle(0.0, 1, LOG[-1].position, Tail("c", BASE, LOG))
    assert len(claims) == 1
    assert not claims.unasked(2)
    claims.settle(0.0, 2, LOG[-1].position, Tail("c", BASE, LOG))
    assert len(claims) == 0


def test_of_an_empty_log_everything_may_still_come() -> None:
    claims = Claims()
    claims.add(0.0, 0, [LOG[5]])
    assert claims.settle(0.0, 1, None, Tail("c", BASE)) == []
    assert len(claims) == 1


def test_what_the_tail_holds_is_no_claim() -> None:
    claims = Claims()
    claims.add(0.0, 1, LOG[:5])
    assert claims.settle(0.0, 1, LOG[9].position, Tail("c", BASE, LOG)) == []
    assert len(claims) == 0


@given(st.lists(st.integers(1, 200), max_size=6))
def test_a_flood_of_claims_costs_bounded_memory_and_the_newest_stay(floods: list[int]) -> None:
    claims, after = Claims(), Position("t9x2k0ab", 500, "aaaa")
    total = 0
    for count in floods:
        entries = chain(count, after)
        after = entries[-1].position
        claims.add(0.0, 0, entries)
        total += count
    assert len(claims) == min(total, MOST_CLAIMS)
    if total:
        proven = claims.settle(0.0, 0, None, Tail("c", entries[0].before))
        assert proven == entries


def test_a_notice_told_twice_leaves_no_question_behind() -> None:
    claims = Claims()
    claims.add(0.0, 1, [LOG[0], LOG[1], LOG[0], LOG[1]])
    assert claims.settle(0.0, 1, None, Tail("c", BASE)) == LOG[:2]
    assert len(claims) == 0


def test_a_wait_goes_on_while_its_readers_come_back() -> None:
    unknown = Unknown()
    assert unknown.since(BASE, 5.0) == 5.0
    for now in (5.0, 6.0, 6.0 + MEMORY - 0.1):
        unknown.wait(BASE, now)
        assert unknown.since(BASE, now) == 5.0
    assert unknown.since(BASE, now + MEMORY - 0.1) == 5.0
    assert unknown.since(LOG[0].position, now) == now


def test_a_wait_that_nobody_came_back_to_begins_anew() -> None:
    unknown = Unknown()
    unknown.wait(BASE, 0.0)
    assert unknown.since(BASE, MEMORY) == MEMORY
    unknown.wait(BASE, MEMORY)
    assert unknown.since(BASE, MEMORY + 1) == MEMORY


def test_of_more_waits_than_are_remembered_the_longest_unasked_is_forgotten() -> None:
    unknown = Unknown()
    places = [BASE._replace(seq=number) for number in range(MOST_CLAIMS + 1)]
    for place in places[:-1]:
        unknown.wait(place, 0.0)
    unknown.wait(places[0], 1.0)
    unknown.wait(places[-1], 1.0)
    since = [unknown.since(places[number], 2.0) for number in (0, 1, 2, -1)]
    assert since == [0.0, 2.0, 0.0, 1.0]
