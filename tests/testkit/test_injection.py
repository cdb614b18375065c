"""A fault lasts as long as the dice say, within its bounds."""

from __future__ import annotations

import asyncio
from random import Random

import pytest

from tests.testkit.injection import lasts

LOOK = 0.02
"""Seconds by which the end may be seen late: somebody looks for it every 0.01 s."""


@pytest.mark.virtual_time
async def test_it_lasts_between_its_bounds_and_the_seed_says_how_long() -> None:
    loop, dice, same = asyncio.get_running_loop(), Random(7), Random(7)
    for low, high in [(0.1, 0.2), (1, 5), (3, 3)]:
        began = loop.time()
        await lasts(dice, low, high)
        meant = same.uniform(low, high)
        assert low <= meant <= high
        assert 0 <= loop.time() - began - meant <= LOOK
