"""Virtual time: exact, instant, and loud where it cannot go on."""

from __future__ import annotations

import asyncio
import socket
import threading
import time

import anyio
import anyio.to_thread
import pytest
import starlette.concurrency
from hypothesis import given
from hypothesis import strategies as st

from tests.testkit.clock import HORIZON, START, Standstill, VirtualClock, VirtualLoop, advance, running_loop, settle

pytestmark = pytest.mark.virtual_time


async def test_a_long_wait_takes_no_real_time_and_is_exact() -> None:
    loop, began = running_loop(), time.monotonic()
    await asyncio.sleep(240)
    await anyio.sleep(0.25)
    assert loop.time() == 240.25
    assert time.monotonic() - began < 1


async def test_timers_run_in_their_order_at_their_instants() -> None:
    loop, ran = running_loop(), list[tuple[str, float]]()

    def keep(name: str) -> None:
        ran.append((name, loop.time()))

    for name, delay in (("late", 3.0), ("early", 1.0), ("middle", 2.0), ("early too", 1.0)):
        loop.call_later(delay, keep, name)
    await advance(3)
    assert ran == [("early", 1), ("early too", 1), ("middle", 2), ("late", 3)]


async def test_timeouts_follow_virtual_time() -> None:
    with pytest.raises(TimeoutError):
        async with asyncio.timeout(100):
            await asyncio.Event().wait()
    assert running_loop().time() == 100


async def test_settle_runs_all_that_is_ready_and_no_timer() -> None:
    steps: list[int] = []

    async def walk() -> None:
        for step in range(50):
            steps.append(step)
            await asyncio.sleep(0)
        await asyncio.sleep(0.001)
        steps.append(-1)

    task = asyncio.create_task(walk())
    await settle()
    assert steps == list(range(50))
    assert running_loop().time() == 0
    await task


async def test_settle_lets_what_is_due_now_run_first() -> None:
    """0.1 + 0.2 is not 0.3: a timer within rounding error of now belongs to this instant."""
    loop, ran = running_loop(), list[str]()
    loop.call_later(0.3, ran.append, "due")
    await advance(0.1)
    await advance(0.2)
    assert ran == ["due"]


async def test_two_may_settle_at_once() -> None:
    await asyncio.gather(settle(), settle())


async def test_the_wall_clock_follows_and_can_be_wrong() -> None:
    right, wrong = VirtualClock(), VirtualClock(skew=-60)
    assert (right.now(), wrong.now()) == (START, START - 60)
    await advance(10)
    wrong.skew = 60
    assert (right.now(), wrong.now()) == (START + 10, START + 70)


@given(st.lists(st.floats(0.001, 1000), max_size=5))
async def test_sleeps_add_up(sleeps: list[float]) -> None:
    """Also: hypothesis runs async tests on a fresh virtual loop for each example."""
    assert running_loop().time() == 0
    for seconds in sleeps:
        await asyncio.sleep(seconds)
    assert running_loop().time() == pytest.approx(sum(sleeps))


@pytest.fixture
async def born_virtual() -> float:
    await asyncio.sleep(5)
    return running_loop().time()


async def test_async_fixtures_share_the_loop(born_virtual: float) -> None:
    assert running_loop().time() == born_virtual == 5


def test_a_plain_test_may_stand_in_a_virtual_module() -> None:
    with pytest.raises(RuntimeError, match="no running event loop"):
        VirtualClock().now()


def run(main: object) -> None:
    """A loop of its own, for what breaks it."""
    with asyncio.Runner(loop_factory=VirtualLoop) as runner:
        runner.run(main)  # type: ignore[arg-type]


def test_a_deadlock_is_an_error_that_names_who_waits() -> None:
    async def stuck() -> None:
        await asyncio.Event().wait()

    with pytest.raises(Standstill, match=r"no timer is set.*\n.*stuck:\d+"):
        run(stuck())


def test_periodic_timers_do_not_hide_a_deadlock() -> None:
    async def heartbeat() -> None:
        while True:  # noqa: ASYNC110 - the very thing
            await asyncio.sleep(60)

    async def stuck() -> None:
        await asyncio.wait([asyncio.create_task(heartbeat())])

    with pytest.raises(Standstill, match=rf"{HORIZON / 86_400:g} virtual days"):
        run(stuck())


async def test_work_for_worker_threads_is_done_in_place_and_takes_no_time() -> None:
    here, timer = threading.get_ident(), asyncio.get_running_loop().call_later(0.001, int)
    assert await asyncio.to_thread(threading.get_ident) == here
    assert await anyio.to_thread.run_sync(threading.get_ident) == here
    assert await starlette.concurrency.run_in_threadpool(threading.get_ident) == here
    with pytest.raises(ZeroDivisionError):
        await asyncio.to_thread(lambda: 1 / 0)
    assert running_loop().time() == 0
    timer.cancel()


async def test_a_real_thread_is_refused() -> None:
    loop, refusals = running_loop(), list[str]()

    def call() -> None:
        try:
            loop.call_soon_threadsafe(print)
        except RuntimeError as error:
            refusals.append(str(error))

    thread = threading.Thread(target=call)
    thread.start()
    thread.join()
    assert "no threads on virtual time" in refusals[0]


def test_sockets_are_refused() -> None:
    left, right = socket.socketpair()

    async def read() -> None:
        left.setblocking(False)
        await asyncio.get_running_loop().sock_recv(left, 1)

    with left, right, pytest.raises(RuntimeError, match="no real sockets on virtual time"):
        run(read())
