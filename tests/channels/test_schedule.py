"""When the log is read: never without a reason, never too late for one."""

from __future__ import annotations

from collections.abc import Iterable
from itertools import pairwise

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from gapless.channels.schedule import NEVER, QUIET_AFTER, QUIET_EVERY, REREAD, Schedule

TICK = 1 / 64
"""Steps of time that add up exactly."""

waits = st.integers(0, 100 * 64).map(lambda ticks: ticks * TICK)
short_waits = st.integers(1, 5 * 64).map(lambda ticks: ticks * TICK)


class Feed:
    """Reads when the schedule says so; nothing else ever reads."""

    def __init__(self, recheck: float) -> None:
        self.schedule = Schedule(recheck)
        self.now = 0.0
        self.reads: list[float] = []
        self._read()

    def _read(self) -> None:
        self.schedule.began(self.now)
        self.reads.append(self.now)
        assert self.schedule.next() > self.now, "a read must answer what it was for"

    def live(self, seconds: float) -> None:
        """Let time pass, and read whenever it is due."""
        end = self.now + seconds
        while (due := self.schedule.next()) <= end:
            self.now = max(self.now, due)
            self._read()
        self.now = end

    def since(self, start: float) -> list[float]:
        return [read for read in self.reads if read > start]


def test_before_anything_happened_nothing_is_due() -> None:
    assert Schedule(15).next() == NEVER


@pytest.mark.parametrize("recheck", [0.25, 15, 240])
def test_a_quiet_channel_is_read_at_every_recheck_and_not_between(recheck: float) -> None:
    feed = Feed(recheck)
    feed.live(recheck * 10)
    assert feed.reads == [recheck * count for count in range(11)]


@given(
    st.sampled_from([5.0, 15.0, 240.0]),
    st.lists(st.tuples(waits, st.sampled_from(["notice", "ask", "again"]), waits), max_size=30),
)
def test_a_lost_notice_waits_for_the_recheck_at_most(recheck: float, story: list[tuple[float, str, float]]) -> None:
    feed = Feed(recheck)
    for wait, event, delay in story:
        feed.live(wait)
        match event:
            case "notice":
                feed.schedule.noticed(feed.now)
            case "ask":
                feed.schedule.ask(feed.now + delay)
            case "again":
                feed.schedule.ask_again(feed.now)
    feed.live(recheck * 2)
    assert all(later - earlier <= recheck for earlier, later in pairwise(feed.reads))


@given(waits, st.lists(st.integers(1, 2 * 64).map(lambda ticks: ticks * TICK), max_size=50))
def test_silence_after_notices_is_read_into_once_after_three_seconds(start: float, steps: list[float]) -> None:
    feed = Feed(10_000)
    feed.live(start)
    for step in [0, *steps]:
        feed.live(step)
        feed.schedule.noticed(feed.now)
    last = feed.now
    feed.live(QUIET_EVERY * 3)
    assert feed.reads == [0, last + QUIET_AFTER]


def notices(feed: Feed, steps: Iterable[float]) -> None:
    for step in steps:
        feed.live(step)
        feed.schedule.noticed(feed.now)


@given(st.lists(waits, min_size=1, max_size=60))
def test_silence_is_read_into_at_most_once_a_minute(steps: list[float]) -> None:
    feed = Feed(10_000)
    notices(feed, steps)
    feed.live(QUIET_EVERY * 2)
    quiet = feed.since(0)
    assert all(later - earlier >= QUIET_EVERY for earlier, later in pairwise(quiet))
    assert quiet, "the last notice may have been followed by a lost one"


@given(st.lists(waits, min_size=1, max_size=60))
@example([0.0, QUIET_AFTER])  # it comes in the moment in which a read for the one before begins
def test_after_the_last_notice_a_lost_one_is_found_within_a_minute(steps: list[float]) -> None:
    feed = Feed(10_000)
    notices(feed, steps)
    last = feed.now
    feed.live(QUIET_EVERY)
    assert any(read >= last + QUIET_AFTER for read in feed.reads)


@given(st.lists(short_waits, max_size=60))
def test_who_asks_again_and_again_is_read_for_once_a_second(steps: list[float]) -> None:
    feed = Feed(10_000)
    for step in steps:
        feed.schedule.ask_again(feed.now)
        asked = feed.now
        assert feed.schedule.next() <= asked + REREAD
        feed.live(step)
    assert all(later - earlier >= REREAD for earlier, later in pairwise(feed.reads))


@given(st.lists(st.tuples(short_waits, waits), min_size=1, max_size=30))
def test_no_question_waits_longer_than_it_may(questions: list[tuple[float, float]]) -> None:
    feed = Feed(10_000)
    due: list[tuple[float, float]] = []
    for wait, delay in questions:
        due.append((feed.now, feed.now + delay))
        feed.schedule.ask(feed.now + delay)
        feed.live(wait)
    feed.live(200)
    assert all(any(asked <= read <= by for read in feed.reads) for asked, by in due)


def test_one_read_answers_every_question_asked_before_it() -> None:
    feed = Feed(10_000)
    for delay in (3, 1, 2):
        feed.schedule.ask(delay)
    feed.live(100)
    assert feed.reads == [0, 1]
