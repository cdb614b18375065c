"""In a turn of the loop each name begins so many pieces of work, whoever else waits."""

from __future__ import annotations

import asyncio
from collections import Counter

import pytest

from gapless.runtime.round_robin import ALONE, RoundRobin


class Diary:
    """Who began what, in which turn of the loop."""

    def __init__(self, at_once: int, alone: int | None = None) -> None:
        self.robin = RoundRobin(at_once, alone)
        self.lines: list[tuple[int, str]] = []
        self._turn = 0
        self._ticking = asyncio.create_task(self._tick())  # ends with the test's loop

    async def _tick(self) -> None:
        while True:
            await asyncio.sleep(0)
            self._turn += 1

    async def work(self, name: str) -> None:
        await self.robin.turn(name)
        self.lines.append((self._turn, name))

    async def until_done(self, *names: str) -> None:
        await asyncio.gather(*map(self.work, names))


async def arrive(diary: Diary, name: str, *, turns: int) -> None:
    """One more of them in each of the next turns."""
    working = []
    for _ in range(turns):
        working.append(asyncio.create_task(diary.work(name)))
        await asyncio.sleep(0)
    await asyncio.gather(*working)


@pytest.mark.parametrize("at_once", [1, 2, 4])
async def test_who_comes_with_many_delays_another_by_few(at_once: int) -> None:
    diary = Diary(at_once)
    await diary.until_done(*["mallory"] * 9, "ann")
    assert [name for _, name in diary.lines] == [*["mallory"] * at_once, "ann", *["mallory"] * (9 - at_once)]


@pytest.mark.parametrize("at_once", [1, 2, 4])
async def test_so_many_of_a_name_begin_in_a_turn(at_once: int) -> None:
    diary = Diary(at_once)
    await diary.until_done(*["mallory", "ann"] * 8)
    turns = Counter(turn for turn, name in diary.lines if name == "mallory")
    assert list(turns.values()) == [at_once] * (8 // at_once)


async def test_who_comes_later_begins_with_no_more_than_so_many() -> None:
    diary = Diary(2)
    await asyncio.gather(diary.until_done(*["mallory"] * 5), arrive(diary, "mallory", turns=12))
    turns = Counter(turn for turn, _ in diary.lines)
    assert (turns.total(), max(turns.values())) == (17, 2)


def sizes(diary: Diary, name: str) -> list[int]:
    """How many of a name began in each turn, and forget them."""
    turns = Counter(turn for turn, one in diary.lines if one == name)
    diary.lines.clear()
    return list(turns.values())


async def test_who_is_alone_begins_with_more_until_somebody_else_comes_and_again_a_second_after_him(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    now = 100.0
    monkeypatch.setattr(asyncio.get_running_loop(), "time", lambda: now)
    diary = Diary(2, alone=4)
    await diary.until_done(*["mallory"] * 9)
    assert sizes(diary, "mallory") == [4, 4, 1]
    await diary.until_done(*["mallory"] * 3, "ann", *["mallory"] * 6)
    assert sizes(diary, "mallory") == [3, 2, 2, 2]
    now += ALONE - 0.125
    await diary.until_done(*["mallory"] * 5)
    assert sizes(diary, "mallory") == [2, 2, 1]
    now += 0.125
    await diary.until_done(*["mallory"] * 5)
    assert sizes(diary, "mallory") == [4, 1]


async def test_who_leaves_while_he_waits_takes_no_turn() -> None:
    robin = RoundRobin(1)
    first, leaving, staying = (asyncio.create_task(robin.turn("a")) for _ in range(3))
    await asyncio.sleep(0)
    leaving.cancel()
    await staying
    assert (first.done(), leaving.cancelled()) == (True, True)


async def test_nothing_is_remembered() -> None:
    robin = RoundRobin(1)
    await asyncio.gather(*(robin.turn(str(number % 10)) for number in range(100)))
    for _ in range(2):
        await asyncio.sleep(0)
    assert robin._lines == {}


def test_a_loop_that_is_gone_leaves_nobody_waiting() -> None:
    robin = RoundRobin(1)

    old = asyncio.new_event_loop()
    try:
        first, left = (old.create_task(robin.turn("a")) for _ in range(2))
        old.call_soon(old.stop)
        old.run_forever()
        assert (first.done(), left.done()) == (True, False)
        asyncio.run(asyncio.wait_for(robin.turn("a"), 5))
        left.cancel()
        old.run_until_complete(asyncio.wait([left]))
    finally:
        old.close()
