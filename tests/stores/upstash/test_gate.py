"""When SUBSCRIBE is tried again, to the second, on virtual time."""

from __future__ import annotations

import asyncio

import pytest

from gapless.stores.upstash.gate import TRY_AGAIN, Gate

pytestmark = pytest.mark.virtual_time


async def refused(gate: Gate) -> float:
    """Wait until it is worth a try, have it refused; how long that took."""
    loop = asyncio.get_running_loop()
    began = loop.time()
    await gate.reopened()
    assert gate.may_try()
    gate.refuse()
    return round(loop.time() - began, 6)


async def test_pauses_between_tries_double_up_to_the_bound() -> None:
    gate = Gate()
    assert not gate.refused
    assert gate.may_try()
    gate.refuse()
    assert gate.refused
    assert [await refused(gate) for _ in range(6)] == [5, 10, 20, 40, 60, 60]


async def test_a_success_opens_it_for_all_and_one_that_lasts_makes_up_for_the_pauses() -> None:
    gate = Gate()
    gate.refuse()
    for _ in range(3):
        await refused(gate)
    waiting = [asyncio.create_task(gate.reopened()) for _ in range(3)]
    await asyncio.sleep(1)
    assert not any(task.done() for task in waiting)
    gate.accept()
    await asyncio.sleep(0)
    await asyncio.sleep(0)
    assert all(task.done() for task in waiting)
    gate.refuse()
    assert await refused(gate) == 60, "it had not lasted"
    gate.accept()
    gate.reset_backoff()
    gate.refuse()
    assert await refused(gate) == TRY_AGAIN[0]


async def test_while_one_tries_nobody_else_does() -> None:
    gate = Gate()
    gate.refuse()
    await gate.reopened()
    assert [gate.may_try() for _ in range(3)] == [True, False, False]
