"""By how much the loop is late for a timer."""

from __future__ import annotations

import asyncio

import pytest

from gapless.runtime.counters import Histogram
from gapless.runtime.loop_lag import EVERY, LoopLag


@pytest.mark.virtual_time
async def test_each_look_is_one_value_until_it_stops() -> None:
    seen = Histogram((0.001, 1.0))
    lag = LoopLag(seen)
    await asyncio.sleep(EVERY * 10.5)
    assert seen.counts == [10, 0, 0]
    lag.stop()
    await asyncio.sleep(EVERY * 10)
    assert sum(seen.counts) == 10


@pytest.mark.virtual_time
async def test_what_holds_the_loop_is_seen(monkeypatch: pytest.MonkeyPatch) -> None:
    """A step of 3 s: the loop's clock goes on, and no timer is served."""
    loop, seen = asyncio.get_running_loop(), Histogram((0.001, 2.9, 3.1))
    lag = LoopLag(seen)
    real = loop.time
    monkeypatch.setattr(loop, "time", lambda: real() + 3.0)
    lag._look()
    lag.stop()
    assert seen.counts[1] == 1 and 2.4 < seen.sum < 3.1
