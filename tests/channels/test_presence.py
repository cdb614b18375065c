"""Who is there, as a third process sees it, on virtual time: nobody leaves who is there, and who is gone leaves.

(docs/protocol.md, 9.8)
"""

from __future__ import annotations

import asyncio
import json
from collections.abc import AsyncIterator, Callable, Coroutine
from typing import Any

import pytest

from gapless.channels.feed import Feed
from gapless.channels.feed_settings import FeedSettings
from gapless.channels.presence_board import PresenceBoard
from gapless.log.namespaces import Feature
from gapless.log.presence import Attendance, Living, format_notice
from gapless.runtime.tasks import end
from tests.testkit.clock import advance, settle
from tests.testkit.model_store import ModelStore

pytestmark = pytest.mark.virtual_time

SEEN, GONE, DEAD = 3.0, 21.0, 201.0
"""Seconds within which a user is seen, is gone after closing, and is gone after his process died."""


class Watcher:
    """Follows the events of a board as a client does; `events` after the first whole."""

    def __init__(self, board: PresenceBoard) -> None:
        self.board = board
        self.users: set[str] | None = None
        self.count = 0
        self.events: list[Any] = []
        board.join(self)

    def changed(self, block: bytes, now: float) -> None:
        told = json.loads(block.partition(b"data: ")[2])
        self.events.append(told)
        self.count = told["count"]
        if self.users is not None and "joined" in told:
            self.users = (self.users | set(told["joined"])) - set(told["left"])

    def anew(self) -> None:
        block = self.board.whole()
        assert block is not None
        told = json.loads(block.partition(b"data: ")[2])
        self.users = set(told["users"]) if "users" in told else None
        self.count = told["count"]


Process = Callable[[], Coroutine[Any, Any, PresenceBoard]]


@pytest.fixture
def store() -> ModelStore:
    return ModelStore()


@pytest.fixture
async def process(store: ModelStore) -> AsyncIterator[Process]:
    """Makes one more process of the service: its board of the channel."""
    feeds = []

    async def make() -> PresenceBoard:
        settings = FeedSettings(15, 10, 86_400, 64, features=(Feature.PRESENCE,))
        feed = Feed("c", store, settings, store.clock.now)
        feeds.append(feed)
        await feed.ready()
        assert feed.around.presence is not None
        return feed.around.presence

    yield make
    for feed in feeds:
        await feed.close()


async def kill(store: ModelStore, board: PresenceBoard) -> None:
    """It dies without a word: it asks nothing, and hears nothing, any more."""
    assert board._task is not None
    await end_quietly(board._task)
    board.take = lambda notice: None  # type: ignore[method-assign]


async def end_quietly(task: asyncio.Task[None]) -> None:
    try:
        await end(task)
    except asyncio.CancelledError:
        raise


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
    await kill(store, dies)
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
    await kill(store, dies)
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


# --- whatever happens, nobody leaves who is there


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
    await kill(store, boards[0])
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
