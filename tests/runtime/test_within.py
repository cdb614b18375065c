"""A coroutine that begins at once, and has a time limit where it waits."""

from __future__ import annotations

import asyncio

import pytest

from gapless.runtime.within import within

pytestmark = pytest.mark.virtual_time


async def test_what_does_not_wait_is_done_before_anything_else_runs_and_has_no_timer(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    ran: list[str] = []
    asyncio.get_running_loop().call_soon(ran.append, "another")

    async def work() -> str:
        ran.append("work")
        return "done"

    monkeypatch.setattr(asyncio, "timeout", None)
    assert await within(5, work()) == "done"
    assert ran == ["work"]


async def test_what_waits_has_so_many_seconds() -> None:
    async def work(seconds: float) -> str:
        for _ in range(4):
            await asyncio.sleep(seconds / 4)
        return "done"

    assert await within(5, work(4.9)) == "done"
    ended: list[float] = []

    async def too_long() -> None:
        try:
            await asyncio.sleep(6)
        finally:
            ended.append(asyncio.get_running_loop().time())

    began = asyncio.get_running_loop().time()
    with pytest.raises(TimeoutError):
        await within(5, too_long())
    assert ended == [began + 5]


@pytest.mark.parametrize("waits", [0, 1])
async def test_its_error_is_the_callers(waits: int) -> None:
    async def work() -> None:
        for _ in range(waits):
            await asyncio.sleep(1)
        raise OSError("gone")

    with pytest.raises(OSError, match="gone"):
        await within(5, work())


async def test_a_caller_that_is_cancelled_cancels_it() -> None:
    ended: list[str] = []

    async def work() -> None:
        try:
            await asyncio.Event().wait()
        except asyncio.CancelledError:
            ended.append("cancelled")
            raise

    task = asyncio.create_task(within(5, work()))
    await asyncio.sleep(1)
    task.cancel()
    with pytest.raises(asyncio.CancelledError):
        await task
    assert ended == ["cancelled"]


async def test_nor_is_a_cancellation_lost_that_comes_while_it_only_gives_a_turn_away() -> None:
    turns = 0

    async def work() -> None:
        nonlocal turns
        while turns < 100:
            turns += 1
            await asyncio.sleep(0)

    task = asyncio.create_task(within(5, work()))
    await asyncio.sleep(0)
    await asyncio.sleep(0)
    task.cancel()
    with pytest.raises(asyncio.CancelledError):
        await task
    assert turns < 10
