"""The estimate is within a tenth of a simulated day whose requests and commands are counted."""

from __future__ import annotations

import pytest

from gapless.cli.cost.shape import Platform, Shape, Store
from gapless.cli.cost.usage import usage
from tests.cli.cost.day import Day

pytestmark = pytest.mark.virtual_time

SHAPES = {
    "a busy channel on a server": Shape(3, 1, 200, 1, Platform.SERVER, Store.REDIS),
    "few messages on two channels on Vercel": Shape(4, 2, 30, 2, Platform.VERCEL, Store.UPSTASH),
    "streams on Lambda": Shape(2, 2, 100, 1, Platform.LAMBDA_STREAM, Store.UPSTASH, rate=False),
    "turns on Lambda": Shape(1, 1, 75, 1, Platform.LAMBDA, Store.UPSTASH),
}


@pytest.mark.parametrize("shape", SHAPES.values(), ids=SHAPES)
async def test_commands_and_requests_of_a_day(shape: Shape) -> None:
    day = Day(shape)
    await day.live()
    said, counted = usage(shape), day.store.commands
    assert said.all_commands == pytest.approx(counted.total(), rel=0.05), (said.commands, counted)
    assert said.commands["publish"] == counted["publish"]
    reading = said.all_commands - said.commands["publish"]
    assert reading == pytest.approx(counted["read"] + counted["subscribe"], rel=0.1), (said.commands, counted)
    assert said.requests == pytest.approx(day.requests, rel=0.05)
