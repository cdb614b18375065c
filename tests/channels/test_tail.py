"""A tail against a log that is a list: what it holds is proven, what it cannot know it does not say."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from itertools import count

import pytest
from hypothesis import assume, example, given
from hypothesis import strategies as st

from gapless.channels import tail as rules
from gapless.channels.frames import Frame
from gapless.channels.tail import Relation, Tail, reset, resolve_position
from gapless.log.cursor import Position, base36, start_of
from gapless.log.entries import Entry, GapReason
from gapless.log.store import Slice
from tests.testkit import strategies as some

CHANNEL = "c"
RETENTION = 1000.0
BEGAN = 1_767_225_600


class Log:
    """The log as a list, and every place that anybody may ever have been told of."""

    def __init__(self) -> None:
        self.entries: list[Entry] = []
        self.places: list[Position] = []
        self._chance = count(1)
        self._now = BEGAN

    @property
    def head(self) -> Position:
        if self.entries:
            return self.entries[-1].position
        self._now += 500
        return start_of(base36(self._now, 6) + base36(next(self._chance), 2)[-2:])

    @property
    def base(self) -> Position:
        return self.entries[0].before

    @property
    def history(self) -> list[Position]:
        """Where a reader of this very log may stand."""
        return [self.base, *(entry.position for entry in self.entries)] if self.entries else []

    def append(self, number: int) -> None:
        for _ in range(number):
            head = self.head
            place = Position(head.epoch, head.seq + 1, base36(next(self._chance), 4))
            self.entries.append(Entry(place, head.mark, 1, some.body(place.seq)))
            self.places += self.history[-2:]

    def trim(self, number: int) -> None:
        """The oldest go; the newest stays."""
        del self.entries[: max(0, min(number, len(self.entries) - 1))]

    def lose(self, number: int) -> None:
        """A failover that lost acknowledged entries."""
        self.entries = self.entries[: max(0, len(self.entries) - number)]

    def slice(self, first: int, last: int) -> Slice:
        """The port's promise, as a list keeps it."""
        if not self.entries:
            return Slice()
        found = tuple(entry for entry in self.entries if first <= entry.position.seq <= last)
        return Slice(found, self.entries[0].link, self.entries[-1].link)

    def happen(self, event: str, number: int) -> None:
        {"append": self.append, "trim": self.trim, "lose": self.lose}[event](number)


happenings = st.lists(
    st.tuples(st.sampled_from(["append", "append", "trim", "lose"]), st.integers(1, 9)), min_size=1, max_size=12
)


@st.composite
def logs(draw: st.DrawFn) -> Log:
    """A log with a past: some of it was trimmed, some rewritten, some wiped."""
    log = Log()
    log.append(draw(st.integers(0, 5)))
    for event, number in draw(happenings):
        log.happen(event, number)
    return log


def is_chain(base: Position, frames: Sequence[Frame]) -> bool:
    for frame in frames:
        if not frame.entry.follows(base):
            return False
        base = frame.position
    return True


def held(tail: Tail) -> list[Position]:
    return [tail.base, *(frame.position for frame in tail.frames)]


def tail_of(log: Log, first: int = 0, last: int | None = None) -> Tail:
    entries = log.entries[first:last]
    return Tail(CHANNEL, entries[0].before, entries)


# --- judge: the log's word on a position


@given(logs(), st.integers(2, 30), st.data())
def test_after_a_place_in_the_log_come_exactly_the_entries_after_it(log: Log, page: int, data: st.DataObject) -> None:
    assume(log.entries)
    at = data.draw(st.integers(0, len(log.entries)))
    place = log.history[at]
    told = resolve_position(CHANNEL, place, log.slice(place.seq + 1, place.seq + page), RETENTION)
    assert told is not None
    assert told.gap is None
    found = [frame.entry for frame in told.frames]
    assert found == log.entries[at:][: len(found)]
    assert found or at == len(log.entries), "silence only where there is nothing"
    assert len(found) == min(page, len(log.entries) - at)


@given(logs(), st.lists(some.message_ids | some.starts, max_size=5))
def test_a_place_that_anybody_ever_saw_is_answered_by_its_entries_or_a_gap(log: Log, strange: list[Position]) -> None:
    for place in [*log.places, *strange]:
        told = resolve_position(CHANNEL, place, log.slice(place.seq + 1, place.seq + 10), RETENTION)
        if not log.entries or (place.epoch, place.seq) > (log.head.epoch, log.head.seq):
            assert told is None, "what lies past the end proves nothing"
            continue
        assert told is not None
        if place in log.history:
            assert told.gap is None
            continue
        assert told.gap is not None
        assert told.frames == ()
        kept = log.entries[0].position, log.entries[-1].position
        assert (told.gap.resume, told.gap.oldest, told.gap.latest) == (log.base, *kept)
        trimmed = place.epoch == log.base.epoch and place.seq < log.base.seq
        assert told.gap.reason is (GapReason.TRIMMED if trimmed else GapReason.RESET)
        assert told.gap.missed == (log.base.seq - place.seq if trimmed else None)


@given(st.integers(1, 20), st.integers(0, 25), st.integers(1, 25), st.data())
def test_missed_counts_the_messages_that_were_trimmed(
    length: int, trimmed: int, read: int, data: st.DataObject
) -> None:
    log = Log()
    log.append(length)
    everything = list(log.entries)
    log.trim(trimmed)
    place = data.draw(st.sampled_from([everything[0].before, *(entry.position for entry in everything)]))
    told = resolve_position(CHANNEL, place, log.slice(place.seq + 1, place.seq + 100), RETENTION)
    assert told is not None
    owed = [entry for entry in everything if entry.position.seq > place.seq]
    gone = [entry for entry in owed if entry not in log.entries]
    if gone:
        assert told.gap is not None
        assert told.gap.missed == len(gone)
        assert (
            resolve_position(CHANNEL, told.gap.resume, log.slice(told.gap.resume.seq + 1, 100), RETENTION) is not None
        )
    else:
        assert [frame.entry for frame in told.frames] == owed


@given(st.integers(0, 3000), st.integers(1, 9), st.integers(0, 12))
def test_who_saw_no_log_gets_all_of_one_that_began_since(age: int, length: int, trimmed: int) -> None:
    log = Log()
    log.append(length)
    log.trim(trimmed)
    place = Position(base36(log.base.began - age, 6), 0, "0")
    told = resolve_position(CHANNEL, place, log.slice(place.seq + 1, place.seq + 100), RETENTION)
    assert told is not None
    if age >= RETENTION:
        assert told.gap == reset(log.slice(0, 0), log.base), "a log before this one may have come and gone"
    elif log.base.seq:
        assert told.gap is not None
        assert (told.gap.reason, told.gap.missed) == (GapReason.TRIMMED, log.base.seq)
    else:
        assert [frame.entry for frame in told.frames] == log.entries


def test_who_saw_no_log_and_still_sees_none_has_missed_nothing() -> None:
    told = resolve_position(CHANNEL, Position("t9x2k0", 0, "0"), Slice(), RETENTION)
    assert told is not None
    assert (told.frames, told.gap) == ((), None)


@given(logs(), st.sampled_from(GapReason))
def test_a_reader_that_was_reset_goes_on_with_the_oldest_message_kept(log: Log, reason: GapReason) -> None:
    empty = Position("t9x2k0", 0, "0")
    gap = reset(log.slice(0, 0), empty, reason)
    assert (gap.reason, gap.missed) == (reason, None)
    if not log.entries:
        assert (gap.resume, gap.oldest, gap.latest) == (empty, None, None)
        return
    told = resolve_position(CHANNEL, gap.resume, log.slice(gap.resume.seq + 1, gap.resume.seq + 1000), RETENTION)
    assert told is not None
    assert [frame.entry for frame in told.frames] == log.entries


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


# --- find


@given(logs(), st.lists(some.message_ids | some.starts, max_size=5), st.data())
def test_a_tail_answers_for_the_places_it_holds_and_for_no_other(
    log: Log, strange: list[Position], data: st.DataObject
) -> None:
    assume(log.entries)
    first = data.draw(st.integers(0, len(log.entries) - 1))
    tail = tail_of(log, first, data.draw(st.integers(first + 1, len(log.entries))))
    here = held(tail)
    for place in [*log.places, *strange]:
        assert tail.find(place, RETENTION) == (here.index(place) if place in here else None)


def test_a_place_in_another_history_is_not_found() -> None:
    log = Log()
    log.append(5)
    log.lose(2)
    log.append(2)
    other = log.places[8]
    assert other.seq == 4
    assert other not in log.history
    assert tail_of(log).find(other, RETENTION) is None
    told = resolve_position(CHANNEL, other, log.slice(other.seq + 1, 9), RETENTION)
    assert told is not None
    assert told.gap is not None
    assert told.gap.reason is GapReason.RESET


@given(st.integers(-3000, 3000), st.integers(1, 5), st.integers(0, 7))
def test_who_saw_no_log_finds_all_of_one_that_began_since(age: int, length: int, trimmed: int) -> None:
    log = Log()
    log.append(length)
    log.trim(trimmed)
    index = tail_of(log).find(Position(base36(log.base.began - age, 6), 0, "0"), RETENTION)
    assert index == (0 if age < RETENTION and log.base.seq == 0 else None)


def test_where_no_log_is_known_only_who_saw_none_is_up_to_date() -> None:
    nowhere = Tail(CHANNEL, Position("t9x2k0", 0, "0"))
    assert nowhere.find(Position("s00000", 0, "0"), RETENTION) == 0
    assert nowhere.find(start_of("t9x2k0ab"), RETENTION) is None
    assert nowhere.find(Position("t9x2k0ab", 3, "m4ez"), RETENTION) is None


@given(logs(), logs(), st.data())
def test_what_a_tail_says_is_what_its_log_says(log: Log, other: Log, data: st.DataObject) -> None:
    """Readers are served from the tail or from the log, whichever is there: both must tell them the same."""
    assume(log.entries)
    tail = tail_of(log)
    anywhere = st.sampled_from([*log.places, *other.places]) | some.positions
    place = data.draw(anywhere | st.integers(-2000, 2000).map(lambda s: Position(base36(BEGAN + s, 6), 0, "0")))
    told = resolve_position(CHANNEL, place, log.slice(place.seq + 1, place.seq + 1000), RETENTION)
    index = tail.find(place, RETENTION)
    if index is not None:
        assert told is not None
        assert told.gap is None
        assert [frame.entry for frame in told.frames] == [frame.entry for frame in tail.frames[index:]]
    elif tail.is_behind(place):
        assert told is None
    else:
        assert told is not None
        assert told.gap is not None


@given(logs())
def test_nobody_is_ahead_of_a_whole_tail_by_having_seen_it(log: Log) -> None:
    assume(log.entries)
    assert not any(tail_of(log).is_behind(place) for place in log.history)
    assert not tail_of(log).is_behind(Position("t9x2k0", 0, "0"))
    ahead = log.head._replace(seq=log.head.seq + 1)
    assert tail_of(log).is_behind(ahead)
    assert tail_of(log).is_behind(start_of("zzzzzzzz"))
    assert Tail(CHANNEL, Position("t9x2k0", 0, "0")).is_behind(start_of("00000000"))


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
