"""Plain numbers that only go up."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from gapless.runtime.counters import Counters, Histogram, StreamCounters


class Stream:
    messages = 0


def test_what_a_stream_was_sent_is_asked_of_the_stream() -> None:
    streams, one, other = StreamCounters(), Stream(), Stream()
    streams.begin(one)
    streams.begin(other)
    one.messages, other.messages = 3, 4
    assert (streams.opened, streams.open, streams.messages) == (2, 2, 7)
    streams.end(one, "deadline")
    one.messages = 100  # nobody's any more
    assert (streams.opened, streams.open, streams.messages, streams.ended) == (2, 1, 7, {"deadline": 1})


@given(st.lists(st.floats(0, 20)))
def test_each_value_is_counted_by_the_least_bound_that_holds_it(values: list[float]) -> None:
    seen = Histogram((1.0, 5.0))
    for value in values:
        seen.observe(value)
    first = sum(value <= 1 for value in values)
    second = sum(1 < value <= 5 for value in values)
    assert seen.counts == [first, second, len(values) - first - second]
    assert seen.sum == pytest.approx(sum(values))


def test_a_clock_that_is_behind_the_publishers_counts_as_no_delay() -> None:
    counters = Counters()
    counters.delayed(1000.0, [999_998, 1_060_000])
    assert (counters.delay.counts[:2], counters.delay.sum) == ([1, 1], pytest.approx(0.002))
