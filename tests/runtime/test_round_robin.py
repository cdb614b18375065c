"""In a turn of the loop each name begins one piece of work, whoever else waits."""

from __future__ import annotations

import asyncio

from gapless.runtime.round_robin import RoundRobin


class Diary:
    """Who began what, in which turn of the loop."""

    def __init__(self) -> None:
        self.robin = RoundRobin()
        self.lines: list[tuple[int, str]] = []
        self._turn = 0
        self._ticking = asyncio.create_task(self._tick())

    async def _tick(self) -> None:
        while True:
            await asyncio.sleep(0)
            self._turn += 1

    async def work(self, name: str) -> None:
        await self.robin.turn(name)
        self.lines.append((self._turn, name))

    async def until_done(self, *names: str) -> None:
        await asyncio.gather(*map(self.work, names))
        self._ticking.cancel()


async def test_who_comes_with_many_delays_another_by_one() -> None:
    diary = Diary()
    await diary.until_done(*["mallory"] * 5, "ann")
    assert [name for _, name in diary.lines] == ["mallory", "ann", *["mallory"] * 4]


async def test_one_of_a_name_begins_in_a_turn() -> None:
    diary = Diary()
    await diary.until_done(*["mallory", "ann"] * 4)
    turns = [turn for turn, name in diary.lines if name == "mallory"]
    assert len(set(turns)) == len(turns) == 4


async def test_who_leaves_while_he_waits_takes_no_turn() -> None:
    robin = RoundRobin()
    first, leaving, staying = (asyncio.create_task(robin.turn("a")) for _ in range(3))
    await asyncio.sleep(0)
    leaving.cancel()
    await staying
    assert (first.done(), leaving.cancelled()) == (True, True)


async def test_nothing_is_remembered() -> None:
    robin = RoundRobin()
    await asyncio.gather(*(robin.turn(str(number % 10)) for number in range(100)))
    for _ in range(2):
        await asyncio.sleep(0)
    assert robin._waiting == {}


def test_a_loop_that_is_gone_leaves_nobody_waiting() -> None:
    robin = RoundRobin()

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
