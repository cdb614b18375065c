"""A loop that stands still is told of, with what holds it; one that turns never is."""

from __future__ import annotations

import asyncio
import logging
import threading

import pytest

from gapless.runtime.watchdog import PARTS, Watchdog, stacks_of

STILL = 0.2


class Heard(logging.Handler):
    """What the watchdog says, and the moment at which it has said so much."""

    def __init__(self) -> None:
        super().__init__()
        self.texts: list[str] = []
        self.twice, self.thrice = threading.Event(), threading.Event()

    def emit(self, record: logging.LogRecord) -> None:
        self.texts.append(record.getMessage())
        if len(self.texts) == 2:
            self.twice.set()
        if len(self.texts) == 3:
            self.thrice.set()


@pytest.fixture
def heard() -> Heard:
    return Heard()


@pytest.fixture(autouse=True)
def _listening(heard: Heard) -> object:
    log = logging.getLogger("gapless.watchdog")
    log.addHandler(heard)
    yield
    log.removeHandler(heard)


def hold_the_loop(until: threading.Event) -> bool:
    """What a blocking call does: nothing else runs on the loop meanwhile."""
    return until.wait(15)


async def test_a_loop_that_stands_still_is_told_of_with_its_stack_and_every_task(heard: Heard) -> None:
    gate = asyncio.Event()
    waiting = [asyncio.create_task(gate.wait(), name=f"reader {n}") for n in range(3)]
    await asyncio.sleep(0)
    dog = Watchdog(STILL)
    try:
        assert hold_the_loop(heard.twice)
        running, tasks = heard.texts[:2]
        assert f"stood still for {STILL:g} s" in running
        assert "hold_the_loop" in running
        assert "3 at this place, such as 'reader 0':" in tasks
        assert tasks.partition("reader 0")[2].partition("place")[0].count("in wait") == 1, "the place, once"
    finally:
        dog.stop()
        gate.set()
        await asyncio.gather(*waiting)


async def test_it_says_when_the_loop_turns_again(heard: Heard) -> None:
    dog = Watchdog(STILL)
    try:
        assert hold_the_loop(heard.twice)
        assert await asyncio.to_thread(heard.thrice.wait, 15)
        assert heard.texts[2] == "the event loop turns again"
    finally:
        dog.stop()


async def test_a_loop_that_answers_only_just_in_time_is_left_alone(
    heard: Heard, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The last of the parts counts: a process that was stopped as a whole loses only one."""
    dog = Watchdog(60)
    dog.stop()

    class Late(threading.Event):
        parts = 0

        def wait(self, timeout: float | None = None) -> bool:
            self.parts += 1
            return self.parts == PARTS

    assert dog._waits(Late())
    assert heard.texts == []


def test_it_ends_with_its_loop() -> None:
    async def begun() -> list[threading.Thread]:
        before = threading.enumerate()
        Watchdog(STILL)
        return [one for one in threading.enumerate() if one not in before]

    [thread] = asyncio.run(begun())
    thread.join(15)
    assert not thread.is_alive()


async def test_tasks_at_the_same_place_are_told_of_once() -> None:
    gate = asyncio.Event()
    waiting = [asyncio.create_task(gate.wait(), name=f"one {n}") for n in range(50)]
    await asyncio.sleep(0)
    told = stacks_of(waiting)
    gate.set()
    await asyncio.gather(*waiting)
    assert told.startswith("50 at this place, such as 'one 0':\n")
    assert told.count("wait") < 6
