"""Each fault is played until time is over and each has hit."""

from __future__ import annotations

import asyncio
from random import Random
from typing import TYPE_CHECKING, Any, cast

import pytest

from tests.testkit.alarm import Alarm
from tests.testkit.fault_injector import FaultInjector
from tests.testkit.injection import Injection

if TYPE_CHECKING:
    from collections.abc import Iterator

pytestmark = pytest.mark.virtual_time


def injection(name: str, hits: Iterator[int | None], struck: list[str]) -> Injection:
    """Hits as often as it is told, and then once each; None: in vain, with an alarm."""

    async def strike(_: Any) -> int:
        struck.append(name)
        await asyncio.sleep(1)
        match next(hits, 1):
            case None:
                raise Alarm("in vain")
            case times:
                return times

    return Injection(name, strike)


def injector(*injections: Injection) -> FaultInjector:
    return FaultInjector(injections, cast("Any", None), Random(7), (0.1, 0.2), lambda _: None)


async def test_each_strikes_once_in_every_round() -> None:
    struck: list[str] = []
    mine = injector(*(injection(name, iter(()), struck) for name in "abc"))
    end = asyncio.get_running_loop().time() + 20
    await mine.play(lambda: asyncio.get_running_loop().time() >= end, lambda: True)
    rounds = [struck[n : n + 3] for n in range(0, len(struck) - 2, 3)]
    assert len(rounds) >= 4
    assert all(sorted(one) == list("abc") for one in rounds)
    assert len({tuple(one) for one in rounds}) > 1, "in an order drawn anew"
    assert sum(mine.hits.values()) == len(struck)


async def test_after_the_time_only_those_strike_that_have_not_hit() -> None:
    struck: list[str] = []
    mine = injector(injection("a", iter(()), struck), injection("b", iter([None, 0, 3]), struck))
    await mine.play(lambda: True, lambda: True)
    assert (mine.hits, mine.missed["b"], mine.idle) == ({"a": 1, "b": 3}, 2, [])
    assert struck.count("a") == 1


async def test_it_gives_up_where_there_is_no_more_patience() -> None:
    struck: list[str] = []
    mine = injector(injection("a", iter([0] * 9), struck))
    await mine.play(lambda: True, lambda: len(struck) < 3)
    assert (mine.idle, len(struck)) == (["a"], 3)
