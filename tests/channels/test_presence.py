"""Who is there, as a third process sees it, on virtual time: nobody leaves who is there, and who is gone leaves.

(docs/protocol.md, 9.8)
"""

from __future__ import annotations

import pytest

from gapless.log.presence import format_notice
from tests.channels.present import DEAD, GONE, SEEN, Process, Watcher, kill
from tests.testkit.clock import advance, settle
from tests.testkit.model_store import ModelStore

pytestmark = pytest.mark.virtual_time


async def test_who_comes_is_seen_and_who_closes_is_gone(store: ModelStore, process: Process) -> None:
    here, there = await process(), Watcher(await process())
    await settle()
    here.come("ann")
    await advance(SEEN)
    assert there.users == {"ann"}
    here.go("ann", gone=True)
    await advance(14)
    assert there.users == {"ann"}, "he may come back"
    await advance(GONE - 14)
    assert there.users == set()
    assert [(event["joined"], event["left"], event["count"]) for event in there.events] == [
        (["ann"], [], 1),
        ([], ["ann"], 0),
    ]


async def test_twenty_planned_reconnects_onto_other_processes_are_no_event_and_cost_no_write(
    store: ModelStore, process: Process
) -> None:
    boards, there = [await process() for _ in range(3)], Watcher(await process())
    boards[0].come("ann")
    await advance(5)
    there.events.clear()
    told = store.calls["told"]
    for number in range(20):
        boards[number % 3].go("ann", gone=False)  # the service ended the stream
        await advance(0.7)
        boards[(number + 1) % 3].come("ann")
        await advance(20 + number % 7)
    assert there.users == {"ann"}
    assert there.events == []
    assert store.calls["told"] == told, "nothing was ever told"


async def test_a_reconnect_of_the_client_within_15_seconds_is_no_leave(process: Process) -> None:
    one, other, there = await process(), await process(), Watcher(await process())
    one.come("ann")
    await advance(5)
    there.events.clear()
    for board, next_one in ((one, one), (one, other), (other, one)):
        board.go("ann", gone=True)
        await advance(10)
        next_one.come("ann")
        await advance(30)
    assert there.events == [], "a leave that was told too early was taken back before others saw it"
    assert there.users == {"ann"}


async def test_who_dies_takes_only_his_own_along(store: ModelStore, process: Process) -> None:
    dies, lives, there = await process(), await process(), Watcher(await process())
    for user in ("ann", "both"):
        dies.come(user)
    for user in ("bob", "both"):
        lives.come(user)
    await advance(90)
    await kill(dies)
    await advance(DEAD)
    assert there.users == {"bob", "both"}
    await advance(600)
    assert there.users == {"bob", "both"}
    assert [event["left"] for event in there.events if event["left"]] == [["ann"]]


async def test_five_hundred_cost_one_script_a_minute(store: ModelStore, process: Process) -> None:
    board = await process()
    for number in range(500):
        board.come(f"user {number}")
    await advance(10)
    store.calls.clear()
    await advance(600)
    assert store.calls["attend"] == 10
    assert store.calls["told"] == 0


async def test_who_only_watches_asks_once_a_minute_and_nobody_costs_nothing(
    store: ModelStore, process: Process
) -> None:
    board = await process()
    watcher = Watcher(board)
    await advance(5)
    store.calls.clear()
    await advance(600)
    assert (store.calls["attend"], store.calls["zadd"]) == (10, 0)
    board.leave(watcher)
    await settle()
    store.calls.clear()
    await advance(600)
    assert store.calls["attend"] == 0


async def test_who_goes_while_he_is_written_is_taken_off(store: ModelStore, process: Process) -> None:
    board = await process()
    Watcher(board)
    await settle()
    store.latency = 0.5
    board.come("ann")
    await advance(1.2)
    board.go("ann", gone=True)
    store.latency = 0.0
    await advance(1)
    assert "ann" in store.leases["c"]
    await advance(20)
    assert not store.leases["c"]


async def test_who_is_gone_before_he_was_written_never_was(store: ModelStore, process: Process) -> None:
    board = await process()
    Watcher(board)
    board.come("bob")
    await advance(0.1)
    store.calls.clear()
    board.come("ann")
    board.go("ann", gone=True)
    await advance(20)
    assert store.calls["attend"] == 0


@pytest.mark.parametrize("watched", [True, False])
async def test_whose_stream_the_service_ends_at_once_is_there(
    store: ModelStore, process: Process, *, watched: bool
) -> None:
    """As turns are on a busy channel. Whoever reads sees him until his lease ends."""
    board, other = await process(), Watcher(await process())
    if watched:
        Watcher(board)
    await advance(1)
    board.come("ann")
    board.go("ann", gone=False)
    assert board.lingers > 0
    await advance(SEEN)
    assert other.users == {"ann"} and board.lingers == 0
    await advance(DEAD)
    assert not other.users


async def test_a_whole_between_two_changes_is_put_right_by_the_next(process: Process) -> None:
    """Changes wait for a second to be told. A stream that begins then is told how it is, and what comes of it."""
    board = await process()
    first = Watcher(board)
    await advance(0.2)
    board.come("bob")
    second = Watcher(board)
    second.anew()
    assert second.users == {"bob"}
    board.go("bob", gone=True)
    await advance(5)
    assert (first.users, second.users) == (set(), set())


async def test_who_was_away_for_a_moment_is_told_to_whom_it_was_told(store: ModelStore, process: Process) -> None:
    dies, board = await process(), await process()
    dies.come("ann")
    first = Watcher(board)
    await advance(3)
    await kill(dies)
    store.tell_aside("c", format_notice([], ["ann"]))
    await advance(5.5)
    second = Watcher(board)
    second.anew()
    assert (first.users, second.users) == ({"ann"}, set())
    store.tell_aside("c", format_notice(["ann"], []))
    await advance(2)
    assert (first.users, second.users) == ({"ann"}, {"ann"})


async def test_joins_come_in_batches_of_one_a_second(store: ModelStore, process: Process) -> None:
    board = await process()
    Watcher(board)
    await settle()
    store.calls.clear()
    for number in range(200):
        board.come(f"user {number}")
        await advance(0.05)
    assert store.calls["attend"] <= 11
