"""The pace follows what this process can bear."""

from __future__ import annotations

from tests.testkit.pace import LATE, LONGEST, Pace


def test_it_slows_down_at_once_where_the_loop_is_late_and_speeds_up_little_by_little() -> None:
    pace = Pace(0.25)
    began = pace.seconds
    pace.feel(LATE * 2)
    slower = pace.seconds
    pace.feel(0.0)
    assert began < pace.seconds < slower
    assert slower - began > slower - pace.seconds


def test_it_stays_within_bounds_and_remembers_the_worst() -> None:
    pace = Pace(0.25)
    for _ in range(100):
        pace.feel(3.0)
    assert pace.seconds == LONGEST
    for _ in range(1000):
        pace.feel(0.0)
    assert pace.seconds == 0.25
    assert pace.worst == 3.0
