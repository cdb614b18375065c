"""A tail against a log that is a list: what it holds is proven, what it cannot know it does not say."""

from __future__ import annotations

from hypothesis import assume, given
from hypothesis import strategies as st

from gapless.channels.tail import Tail, reset, resolve_position
from gapless.log.cursor import Position, base36, start_of
from gapless.log.entries import GapReason
from gapless.log.store import Slice
from tests.testkit import strategies as some
from tests.testkit.listed_log import BEGAN, CHANNEL, RETENTION, Log, held, logs, tail_of

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
