"""Who is there although stores fail, clocks differ, notices are lost and users are many, on virtual time.

(docs/protocol.md, 9.8)
"""

from __future__ import annotations

import pytest

from gapless.channels.presence_board import PresenceBoard
from gapless.log.presence import Attendance, Living, format_notice
from tests.channels.present import DEAD, GONE, Process, Watcher, kill
from tests.testkit.clock import advance
from tests.testkit.model_store import ModelStore

pytestmark = pytest.mark.virtual_time


async def crowd(process: Process) -> tuple[list[PresenceBoard], Watcher]:
    boards = [await process() for _ in range(2)]
    for number, board in enumerate(boards):
        board.come(f"user {number}")
    there = Watcher(await process())
    await advance(70)
    assert there.users == {"user 0", "user 1"}
    there.events.clear()
    return boards, there


@pytest.mark.parametrize("seconds", [30.0, 90.0, 200.0, 900.0])
async def test_an_outage_makes_nobody_leave(store: ModelStore, process: Process, seconds: float) -> None:
    _, there = await crowd(process)
    store.down = True
    await advance(seconds)
    store.down = False
    await advance(900)
    assert there.users == {"user 0", "user 1"}
    assert there.events == []


async def test_who_left_during_an_outage_is_gone_after_it(store: ModelStore, process: Process) -> None:
    boards, there = await crowd(process)
    store.down = True
    await kill(boards[0])
    await advance(200)
    store.down = False
    await advance(DEAD)
    assert there.users == {"user 1"}


@pytest.mark.parametrize("wipe", ["failover", "delete"])
async def test_leases_that_are_lost_make_nobody_leave(store: ModelStore, process: Process, wipe: str) -> None:
    _, there = await crowd(process)
    for _ in range(5):
        if wipe == "delete":
            await store.forget("c")
        else:
            store.leases["c"].clear()
        await advance(100)
    assert there.users == {"user 0", "user 1"}
    assert not [event for event in there.events if event["left"]]


@pytest.mark.parametrize("ahead", [60.0, -60.0, 86_400.0])
async def test_no_clock_but_the_stores_counts(store: ModelStore, process: Process, ahead: float) -> None:
    store.ahead = ahead
    boards, there = await crowd(process)
    await advance(1000)
    assert there.events == []
    boards[0].go("user 0", gone=True)
    await advance(GONE)
    assert there.users == {"user 1"}


async def test_a_store_whose_clock_jumps_by_a_minute_makes_nobody_leave(store: ModelStore, process: Process) -> None:
    _, there = await crowd(process)
    for ahead in (60.0, 0.0, -60.0):
        store.ahead = ahead
        await advance(300)
    assert there.users == {"user 0", "user 1"}
    assert there.events == []


async def test_notices_that_are_lost_cost_a_minute_at_most(store: ModelStore, process: Process) -> None:
    boards, there = await crowd(process)
    store.notify = False
    boards[0].come("late")
    await advance(64)
    assert there.users == {"user 0", "user 1", "late"}
    boards[0].go("late", gone=True)
    await advance(GONE + DEAD)
    assert there.users == {"user 0", "user 1"}


async def test_notices_that_are_doubled_late_or_foreign_do_no_harm(store: ModelStore, process: Process) -> None:
    _, there = await crowd(process)
    late = [format_notice([], ["user 0"]), format_notice(["user 1"], []), format_notice([], ["user 1", "nobody"])]
    for notice in [*late, *late, b"!p", b"!p\t", b"!p\t*x", b"!x"]:
        store.tell_aside("c", notice)
        await advance(1)
    await advance(300)
    assert there.users == {"user 0", "user 1"}, "their processes object before anybody is told"
    assert there.events == []


async def test_three_tabs_and_one_beacon(store: ModelStore, process: Process) -> None:
    """One person on two processes: a tab says that it leaves, and the others are still there."""
    one, other, there = await process(), await process(), Watcher(await process())
    for board in (one, one, other):
        board.come("ann")
    await advance(5)
    there.events.clear()
    store.leases["c"].pop("ann")
    store.tell_aside("c", format_notice([], ["ann"]))
    one.go("ann", gone=True)
    await advance(100)
    assert there.events == []
    one.go("ann", gone=True)
    await advance(100)
    assert there.users == {"ann"}
    other.go("ann", gone=True)
    await advance(GONE)
    assert there.users == set(), "with the last"


async def test_a_thousand_and_one_and_back(store: ModelStore, process: Process) -> None:
    board, there = await process(), Watcher(await process())
    names = [f"u{number}" for number in range(1001)]
    for name in names[:1000]:
        board.come(name)
    await advance(5)
    assert there.users == set(names[:1000])
    board.come(names[1000])
    await advance(65)
    assert (there.users, there.count) == (None, 1001)
    board.go(names[0], gone=True)
    await advance(GONE + 65)
    assert there.users == set(names[1:])


async def test_of_nine_thousand_the_number_is_told_and_no_script_has_more_than_a_thousand(
    store: ModelStore, process: Process, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Whose lease is not among those that were read is gone when it ends."""
    board, there = await process(), Watcher(await process())
    asked: list[Attendance] = []
    attend = store.attend

    async def watched(attendance: Attendance) -> Living:
        asked.append(attendance)
        return await attend(attendance)

    monkeypatch.setattr(store, "attend", watched)
    names = [f"u{number}" for number in range(9_000)]
    for name in names:
        board.come(name)
    await advance(65)
    assert there.count == 9_000
    for name in names:
        board.go(name, gone=True)
    await advance(GONE)
    assert max(len(one.leavers) for one in asked) == max(len(one.own) for one in asked) == 1_000
    await advance(DEAD + 65)
    assert (there.users, there.count) == (set(), 0)


async def test_a_store_that_fails_from_the_first_is_asked_again(store: ModelStore, process: Process) -> None:
    board = await process()
    store.down = True
    there = Watcher(board)
    board.come("ann")
    await advance(20)
    assert board.whole() is None
    store.down = False
    await advance(6)
    assert there.users == {"ann"}
