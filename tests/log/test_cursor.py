"""Ids, positions, cursors: whatever is written can be read, and nothing else can."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from gapless.log.cursor import (
    Position,
    base36,
    format_cursor,
    new_epoch,
    no_log,
    parse_cursor,
    parse_position,
    start_of,
)
from tests.testkit import positions as foreign
from tests.testkit import strategies as some

LAST_SECOND = 36**6 - 1
seconds = st.floats(0, LAST_SECOND, allow_nan=False)
pairs = st.text(some.DIGITS, min_size=2, max_size=2)


@given(some.positions)
def test_a_position_is_read_as_it_was_written(position: Position) -> None:
    assert parse_position(str(position)) == position


@given(some.positions)
def test_a_reader_of_another_make_reads_the_same(position: Position) -> None:
    assert foreign.parse_position(str(position)) == tuple(position)


@given(some.texts | st.text("-.0123456789az", max_size=30) | st.from_regex(r"\w{6,8}-\d+-\w{1,4}", fullmatch=True))
def test_any_text_is_a_position_or_none(text: str) -> None:
    position = parse_position(text)
    assert position is None or str(position) == text


@pytest.mark.parametrize(
    "text",
    [
        "",
        "t9x2k0ab",
        "t9x2k0ab-42",
        "t9x2k0ab-42-7qd",
        "t9x2k0ab-42-7qd12",
        "t9x2k0a-42-7qd1",
        "t9x2k0-42-7qd1",
        "T9X2K0AB-42-7QD1",
        "t9x2k0ab-042-7qd1",
        "t9x2k0ab-0-7qd1",
        "t9x2k0ab-00-0",
        "t9x2k0ab-42-0",
        "t9x2k0a-0-0",
        "t9x2k0ab--1-7qd1",
        "t9x2k0ab-+1-7qd1",
        "t9x2k0ab-1_0-7qd1",
        "t9x2k0ab-٤٢-7qd1",
        "t9x2k0ab-1000000000000000-7qd1",
        "t9x2k0ab-42-7qd1\n",
        " t9x2k0ab-42-7qd1",
        "t9x2k0ab-42-7qd1.",
        "t9x2k0ab-42-7qdé",
    ],
)
def test_no_position(text: str) -> None:
    assert parse_position(text) is None
    assert parse_cursor(text, 1) is None


@given(some.cursors)
def test_a_cursor_is_read_as_it_was_written(cursor: tuple[Position, ...]) -> None:
    text = format_cursor(cursor)
    assert parse_cursor(text, len(cursor)) == cursor
    assert foreign.parse_cursor(text, len(cursor)) == list(map(tuple, cursor))


@given(some.cursors, st.integers(0, 17))
def test_a_cursor_fits_its_own_number_of_channels_only(cursor: tuple[Position, ...], channels: int) -> None:
    assert (parse_cursor(format_cursor(cursor), channels) is None) == (channels != len(cursor))


@given(some.texts, st.integers(1, 16))
def test_any_text_is_a_cursor_or_none(text: str, channels: int) -> None:
    cursor = parse_cursor(text, channels)
    assert cursor is None or format_cursor(cursor) == text


@given(some.cursors)
def test_a_cursor_can_stand_in_a_line_a_header_and_a_query(cursor: tuple[Position, ...]) -> None:
    assert set(format_cursor(cursor)) <= set(some.DIGITS) | {"-", "."}


@given(seconds, pairs, seconds, pairs)
def test_epochs_are_ordered_as_the_seconds_in_which_they_began(a: float, x: str, b: float, y: str) -> None:
    if int(a) != int(b):
        assert (new_epoch(a, x) < new_epoch(b, y)) == (a < b)


@given(seconds, pairs)
def test_an_epoch_and_a_place_without_a_log_tell_their_second(now: float, two: str) -> None:
    assert start_of(new_epoch(now, two)).began == no_log(now).began == int(now)


@given(seconds, pairs)
def test_only_a_place_without_a_log_is_nowhere(now: float, two: str) -> None:
    assert no_log(now).nowhere
    assert not start_of(new_epoch(now, two)).nowhere
    assert parse_position(str(no_log(now))) == no_log(now)
    assert parse_position(str(start_of(new_epoch(now, two)))) == start_of(new_epoch(now, two))


@given(st.integers(0, LAST_SECOND), st.integers(0, LAST_SECOND))
def test_padded_numbers_sort_as_numbers_do(a: int, b: int) -> None:
    assert (base36(a, 6) < base36(b, 6)) == (a < b)
    assert int(base36(a, 6), 36) == a
    assert len(base36(a, 6)) == 6
