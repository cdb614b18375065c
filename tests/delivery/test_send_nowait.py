"""A send that is begun: through at once, or a task for the rest; on every Python the same."""

from __future__ import annotations

import asyncio

import pytest

from gapless.delivery.send_nowait import send_nowait

pytestmark = pytest.mark.virtual_time


async def test_what_does_not_wait_is_through_without_a_task() -> None:
    ran: list[int] = []

    async def send() -> None:
        ran.append(1)

    assert send_nowait(send(), asyncio.get_running_loop()) is None
    assert ran == [1]


async def test_what_waits_goes_on_as_a_task() -> None:
    gate, ran = asyncio.Event(), []

    async def send() -> None:
        for step in range(3):
            await gate.wait()
            ran.append(step)
            await asyncio.sleep(1)

    sending = send_nowait(send(), asyncio.get_running_loop())
    assert sending is not None
    assert not ran
    gate.set()
    await sending
    assert ran == [0, 1, 2]


async def test_a_failure_at_once_is_told() -> None:
    async def send() -> None:
        raise OSError("gone")

    sending = send_nowait(send(), asyncio.get_running_loop())
    assert sending is not None
    with pytest.raises(OSError, match="gone"):
        await sending


async def test_a_failure_later_is_told() -> None:
    async def send() -> None:
        await asyncio.sleep(1)
        raise OSError("gone")

    sending = send_nowait(send(), asyncio.get_running_loop())
    assert sending is not None
    with pytest.raises(OSError, match="gone"):
        await sending


async def test_it_can_be_cancelled_while_it_waits() -> None:
    cleaned = []

    async def send() -> None:
        try:
            await asyncio.Event().wait()
        finally:
            cleaned.append(1)

    sending = send_nowait(send(), asyncio.get_running_loop())
    assert sending is not None
    await asyncio.sleep(0)
    sending.cancel()
    with pytest.raises(asyncio.CancelledError):
        await sending
    assert cleaned == [1]


async def test_an_error_that_is_awaited_reaches_the_send() -> None:
    caught = []

    async def send() -> None:
        try:
            async with asyncio.timeout(1):
                await failing
        except OSError:
            caught.append(1)

    failing: asyncio.Future[None] = asyncio.get_running_loop().create_future()
    sending = send_nowait(send(), asyncio.get_running_loop())
    failing.set_exception(OSError())
    assert sending is not None
    await sending
    assert caught == [1]
