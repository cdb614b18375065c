"""The log as a list keeps the port's promise, whatever happened to it."""

from __future__ import annotations

from hypothesis import assume, given

from gapless.log.store import Slice
from tests.testkit.listed_log import Log, held, is_chain, logs, tail_of


@given(logs())
def test_each_entry_follows_the_one_before_it(log: Log) -> None:
    assume(log.entries)
    tail = tail_of(log)
    assert is_chain(log.base, tail.frames)
    assert not is_chain(log.head, tail.frames)
    assert held(tail) == log.history


def test_the_oldest_are_trimmed_and_the_newest_stays() -> None:
    log = Log()
    log.append(5)
    newest = log.head
    log.trim(9)
    assert [entry.position for entry in log.entries] == [newest]


def test_what_is_written_after_a_loss_has_the_number_of_what_was_lost_and_another_mark() -> None:
    log = Log()
    log.append(3)
    lost = log.head
    log.lose(1)
    log.append(1)
    assert log.head.seq == lost.seq
    assert log.head != lost
    assert lost in log.places


def test_a_log_that_is_lost_whole_begins_a_new_epoch() -> None:
    log = Log()
    log.append(3)
    before = log.head
    log.lose(3)
    assert log.slice(1, 9) == Slice()
    log.append(1)
    assert log.head.epoch > before.epoch


def test_a_slice_holds_what_was_asked_for_and_names_both_ends() -> None:
    log = Log()
    log.append(5)
    assert log.slice(2, 3) == Slice(tuple(log.entries[1:3]), log.entries[0].link, log.entries[4].link)
