"""Pauses grow, are spread, and never exceed what was said."""

from __future__ import annotations

import pytest

from gapless.cli.backoff import LONGEST, MOST_ASKED, asked_for, pause


def test_pauses_double_up_to_the_longest() -> None:
    assert [pause(failures, 1.0) for failures in (1, 2, 3, 4)] == [0.2, 0.4, 0.8, 1.6]
    assert pause(10**9, 1.0) == LONGEST


def test_half_of_a_pause_is_chance() -> None:
    assert (pause(2, 0.0), pause(2, 1.0)) == (0.2, 0.4)


@pytest.mark.parametrize(
    ("milliseconds", "header", "seconds"),
    [
        (1500, "2", 1.5),
        (None, "2", 2.0),
        (None, None, 0.0),
        (None, "Fri, 27 Nov 2026 12:00:00 GMT", 0.0),
        (10**9, None, MOST_ASKED),
        (-1, None, 0.0),
        ("9", "1", 1.0),
    ],
)
def test_what_a_service_asks_for_is_believed_within_bounds(
    milliseconds: object, header: str | None, seconds: float
) -> None:
    assert asked_for(milliseconds, header) == seconds
