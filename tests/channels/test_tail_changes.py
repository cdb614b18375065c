"""What a tail makes of news: notices in any order, the log read again, rewritten history; and how much it keeps."""

from __future__ import annotations

from collections.abc import Iterator

import pytest
from hypothesis import assume, example, given
from hypothesis import strategies as st

from gapless.channels import tail as rules
from gapless.channels.tail import Relation, Tail
from gapless.log.cursor import Position, base36, start_of
from gapless.log.entries import Entry
from tests.testkit import strategies as some
from tests.testkit.listed_log import CHANNEL, Log, happenings, held, is_chain, logs, tail_of

# --- extend: notices in any order, true and false


@given(logs(), st.data())
def test_a_tail_grows_by_what_follows_and_by_nothing_else(log: Log, data: st.DataObject) -> None:
    assume(log.entries)
    start = data.draw(st.integers(0, len(log.entries) - 1))
    tail = tail_of(log, start, start + 1)
    strangers = [Entry(place, "zzzz", 1, some.body()) for place in log.places]
    told = data.draw(st.lists(st.sampled_from(log.entries + strangers), max_size=20))
    for entry in told:
        before = held(tail)
        grown, claims = tail.extend([entry])
        assert [frame.entry for frame in grown] == ([entry] if entry.before == before[-1] else [])
        older = entry.position.epoch == before[0].epoch and entry.position.seq <= before[0].seq
        assert claims == ([] if grown or older or entry.position in before else [entry])
    assert is_chain(tail.base, tail.frames)
    assert [frame.entry for frame in tail.frames] == log.entries[start:][: len(tail.frames)]


@given(logs(), st.data())
def test_a_batch_told_at_once_is_the_same_as_one_after_another(log: Log, data: st.DataObject) -> None:
    assume(log.entries)
    told = data.draw(st.lists(st.sampled_from(log.entries), max_size=20))
    at_once, by_and_by = tail_of(log, 0, 1), tail_of(log, 0, 1)
    grown, claims = at_once.extend(told)
    parts = [by_and_by.extend([entry]) for entry in told]
    assert held(at_once) == held(by_and_by)
    assert [frame.position for frame in grown] == [frame.position for part in parts for frame in part[0]]
    assert claims == [entry for part in parts for entry in part[1]]


# --- relate and rewritten: the log's newest entries against what is held


@st.composite
def then_and_now(draw: st.DrawFn) -> tuple[Tail, Log]:
    """A tail of a log as it once was, and the log as it is now."""
    log = Log()
    log.append(draw(st.integers(1, 8)))
    log.trim(draw(st.integers(0, 4)))
    tail = tail_of(log, draw(st.integers(0, len(log.entries) - 1)))
    for event, number in draw(happenings):
        log.happen(event, number)
    return tail, log


@given(then_and_now(), st.integers(1, 30))
def test_how_the_log_stands_to_a_tail(case: tuple[Tail, Log], page: int) -> None:
    tail, log = case
    newest = log.entries[-page:]
    relation = tail.relate(newest)
    if not newest:
        assert relation is Relation.BEHIND
    elif tail.head in log.history:
        reaches = newest[0].before.seq <= tail.head.seq
        grew = Relation.GREW if reaches else Relation.HOLE
        assert relation is (Relation.SAME if tail.head == log.head else grew)
    elif log.head in held(tail):
        assert relation is Relation.BEHIND
    elif relation is Relation.HOLE:
        assert newest[0].before.seq > tail.head.seq, "only what lies between can tell"
    elif relation is Relation.BEHIND:
        assert log.head[:2] < tail.base[:2], "only a log that ends before the tail may still come round"
    else:
        assert relation is Relation.FORKED


@given(then_and_now())
def test_a_tail_that_grew_is_the_log_again(case: tuple[Tail, Log]) -> None:
    tail, log = case
    assume(tail.relate(log.entries) is Relation.GREW)
    grown, _ = tail.extend(log.entries)
    assert tail.head == log.head
    assert [frame.entry for frame in grown] == log.entries[-len(grown) :]
    assert is_chain(tail.base, tail.frames)


@given(logs())
def test_a_log_that_begins_where_none_was_is_news(log: Log) -> None:
    nowhere = Tail(CHANNEL, Position("t9x2k0", 0, "0"))
    assert nowhere.relate(log.entries) is (Relation.HOLE if log.entries else Relation.SAME)


@given(then_and_now(), st.integers(1, 30))
def test_rewritten_history_goes_on_after_what_both_share(case: tuple[Tail, Log], page: int) -> None:
    tail, log = case
    newest = log.entries[-page:]
    assume(tail.relate(newest) in (Relation.FORKED, Relation.BEHIND))
    empty = Position("t9x2k0", 0, "0")
    visible = [newest[0].before, *(entry.position for entry in newest)] if newest else []
    both = [place for place in visible if place in held(tail)]
    shared = tail.shared(newest)
    assert shared == (both[-1] if both else None)
    new = tail.rewritten(newest, shared, empty)
    assert is_chain(new.base, new.frames)
    assert new.head == (newest[-1].position if newest else empty)
    assert set(held(new)) <= {*log.places, empty}
    assert shared is None or shared in held(new)
    if shared is not None:
        kept = [place for place in held(tail) if place.seq <= shared.seq]
        assert held(new)[: len(kept)] == kept, "what a reader saw and still holds true is not read again"


# --- memory


@pytest.fixture(scope="module")
def small() -> Iterator[tuple[int, int]]:
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(rules, "MOST_FRAMES", 8)
        patch.setattr(rules, "MOST_BYTES", 2000)
        yield 8, 2000


@example(steps=[[2600]])
@example(steps=[[10, 2600], [2600]])
@given(steps=st.lists(st.lists(st.integers(0, 2600), min_size=1, max_size=6), min_size=1, max_size=12))
def test_a_tail_stays_small_keeps_its_newest_and_its_chain(small: tuple[int, int], steps: list[list[int]]) -> None:
    frames, size = small
    tail = Tail(CHANNEL, start_of("t9x2k0ab"))
    seen = [tail.base]
    for step in steps:
        entries: list[Entry] = []
        for width in step:
            place = Position("t9x2k0ab", len(seen), base36(len(seen), 4))
            entries.append(Entry(place, seen[-1].mark, 1, some.body("x" * width)))
            seen.append(place)
        tail.extend(entries)
        assert is_chain(tail.base, tail.frames)
        assert held(tail) == seen[-len(held(tail)) :]
        assert tail.frames
        assert len(tail.frames) <= frames * 5 // 4
        assert sum(frame.size for frame in tail.frames) <= size * 5 // 4 or len(tail.frames) == 1
        assert all(tail.find(place, 0) == index for index, place in enumerate(held(tail)))
        assert tail.find(seen[0], 0) == (0 if tail.base == seen[0] else None)


@given(st.integers(1, 30))
def test_a_tail_that_was_read_is_no_larger_than_one_that_was_told(small: tuple[int, int], length: int) -> None:
    log = Log()
    log.append(length)
    tail = tail_of(log)
    assert len(tail.frames) <= small[0] * 5 // 4
    assert is_chain(tail.base, tail.frames)
    assert tail.head == log.head
