"""A task that is to end does, also where its cancellation is swallowed."""

from __future__ import annotations

import asyncio

import pytest

from gapless.runtime.tasks import AGAIN, end

pytestmark = pytest.mark.virtual_time


async def swallows(times: int) -> None:
    """As `wait_for` before Python 3.12, where its work is done at that very moment."""
    for _ in range(times):
        try:
            await asyncio.Event().wait()
        except asyncio.CancelledError:
            continue
    await asyncio.Event().wait()


@pytest.mark.parametrize("times", [0, 1, 3])
async def test_a_task_that_swallows_cancellations_ends(times: int) -> None:
    task = asyncio.create_task(swallows(times))
    await asyncio.sleep(0)
    loop = asyncio.get_running_loop()
    began = loop.time()
    await end(task)
    assert task.cancelled()
    assert loop.time() - began == pytest.approx(AGAIN * times)


async def test_one_that_puts_things_away_is_left_the_time() -> None:
    put_away = False

    async def tidy() -> None:
        nonlocal put_away
        try:
            await asyncio.Event().wait()
        finally:
            await asyncio.sleep(AGAIN * 0.9)
            put_away = True

    task = asyncio.create_task(tidy())
    await asyncio.sleep(0)
    await end(task)
    assert put_away


async def test_what_it_raised_instead_is_told() -> None:
    async def breaks() -> None:
        raise ValueError("broken")

    task = asyncio.create_task(breaks())
    await asyncio.sleep(0)
    with pytest.raises(ValueError, match="broken"):
        await end(task)


async def test_one_that_has_ended_is_not_waited_for() -> None:
    task = asyncio.create_task(asyncio.sleep(0))
    await task
    await end(task)


async def test_whoever_is_cancelled_meanwhile_sees_it_through() -> None:
    task = asyncio.create_task(swallows(1))
    await asyncio.sleep(0)
    ending = asyncio.create_task(end(task))
    await asyncio.sleep(0)
    ending.cancel()
    await asyncio.wait([ending])
    assert ending.cancelled()
    assert task.cancelled()
