"""How the readers of a channel learn of receipts, on virtual time: whatever happens to notices costs delay."""

from __future__ import annotations

import json
from collections.abc import AsyncIterator
from typing import Any

import pytest

from gapless.channels.feed import Feed
from gapless.channels.feed_settings import FeedSettings
from gapless.channels.receipt_board import RETRY, TOGETHER, ReceiptBoard
from gapless.channels.receipts import SETTLED
from gapless.log.cursor import Position
from gapless.log.namespaces import Feature
from gapless.log.receipts import Marks, Receipt, format_receipt
from tests.testkit.clock import advance, settle
from tests.testkit.model_store import ModelStore

pytestmark = pytest.mark.virtual_time


class Watcher:
    """Remembers what it was told."""

    def __init__(self) -> None:
        self.told: list[Any] = []
        self.anews = 0

    def changed(self, block: bytes, now: float) -> None:
        self.told.append(json.loads(block.partition(b"data: ")[2]))

    def anew(self) -> None:
        self.anews += 1


@pytest.fixture
def store() -> ModelStore:
    return ModelStore()


@pytest.fixture
async def board(store: ModelStore) -> AsyncIterator[ReceiptBoard]:
    feed = Feed("c", store, FeedSettings(15, 10, 86_400, 64, features=(Feature.RECEIPTS,)), store.clock.now)
    await feed.ready()
    assert feed.around.receipts is not None
    yield feed.around.receipts
    await feed.close()


def at(seq: int) -> Position:
    return Position("t9x2k0ab", seq, "m4ez")


async def read(store: ModelStore, user: str, seq: int) -> None:
    await store.raise_marks(Receipt("c", user, Marks(None, at(seq)), 0))


def whole(board: ReceiptBoard) -> dict[str, Any]:
    block = board.whole()
    assert block is not None
    found: dict[str, Any] = json.loads(block.partition(b"data: ")[2])
    assert found["whole"] is True
    return {user: int(marks["read"].split("-")[1]) for user, marks in found["receipts"].items()}


async def test_the_first_who_watches_costs_a_read_and_a_hundred_more_nothing(
    store: ModelStore, board: ReceiptBoard
) -> None:
    await read(store, "ann", 3)
    assert store.calls["marks"] == 0, "nobody wanted to know"
    watchers = [Watcher() for _ in range(100)]
    for watcher in watchers:
        board.join(watcher)
    assert board.whole() is None
    await settle()
    assert whole(board) == {"ann": 3}
    assert store.calls["marks"] == 1
    assert [watcher.anews for watcher in watchers] == [1] * 100


async def test_updates_that_come_together_travel_as_one_and_cost_no_read(
    store: ModelStore, board: ReceiptBoard
) -> None:
    board.join(watcher := Watcher())
    await settle()
    store.calls.clear()
    for seq in range(1, 20):
        await read(store, "ann", seq)
        await read(store, "bob", seq)
    await advance(TOGETHER + 0.01)
    assert not store.calls["marks"]
    [told] = watcher.told
    assert {user: marks["read"] for user, marks in told["receipts"].items()} == {
        user: str(at(19)) for user in ("ann", "bob")
    }
    assert told["whole"] is False


async def test_a_notice_that_is_late_or_doubled_takes_nothing_down(store: ModelStore, board: ReceiptBoard) -> None:
    board.join(watcher := Watcher())
    await settle()
    for seq in (5, 3, 5, 1):
        store.tell_aside("c", format_receipt("ann", Marks(at(seq), at(seq))))
    await advance(1)
    assert whole(board) == {"ann": 5}
    assert len(watcher.told) == 1


async def test_lost_notices_are_found_three_seconds_after_the_last_or_at_the_recheck(
    store: ModelStore, board: ReceiptBoard
) -> None:
    board.join(watcher := Watcher())
    await settle()
    await read(store, "ann", 1)
    store.notify = False
    await read(store, "ann", 2)
    await advance(3.5)
    assert whole(board) == {"ann": 2}
    await read(store, "ann", 3)
    await advance(16)
    assert whole(board) == {"ann": 3}
    assert [told["receipts"]["ann"]["read"] for told in watcher.told] == [str(at(seq)) for seq in (1, 2, 3)]


async def test_a_subscription_that_hears_again_is_a_reason_to_read(store: ModelStore, board: ReceiptBoard) -> None:
    board.join(Watcher())
    await settle()
    store.notify = False
    await read(store, "ann", 4)
    store.each_ear("c", lambda listener: listener.lost())
    store.each_ear("c", lambda listener: listener.heard())
    await settle()
    assert whole(board) == {"ann": 4}


async def test_an_hour_of_quiet_costs_the_rechecks_and_none_where_nobody_watches(
    store: ModelStore, board: ReceiptBoard
) -> None:
    board.join(watcher := Watcher())
    await settle()
    store.calls.clear()
    await advance(3600)
    assert store.calls["marks"] == 240
    board.leave(watcher)
    await settle()
    store.calls.clear()
    await advance(3600)
    assert store.calls["marks"] == 0


async def test_where_channels_are_polled_receipts_are_read_once_a_minute(store: ModelStore) -> None:
    """Rechecks are rare there."""
    store.polled = True
    feed = Feed("c", store, FeedSettings(240, 10, 86_400, 64, features=(Feature.RECEIPTS,)), store.clock.now)
    await feed.ready()
    board = feed.around.receipts
    assert board is not None
    board.join(Watcher())
    await advance(5)
    store.calls.clear()
    for seq in range(1, 6):
        await read(store, "ann", seq)
        await advance(60.1)
        assert whole(board) == {"ann": seq}
    assert store.calls["marks"] <= 6
    await feed.close()


async def test_a_store_that_fails_is_asked_again_and_nobody_is_told(store: ModelStore, board: ReceiptBoard) -> None:
    await read(store, "ann", 1)
    store.down = True
    board.join(watcher := Watcher())
    await settle()
    assert board.whole() is None
    store.down = False
    await advance(RETRY + 0.1)
    assert whole(board) == {"ann": 1}
    assert watcher.anews == 1


async def test_what_is_gone_from_the_store_is_gone_here_and_not_before_a_read_can_know(
    store: ModelStore, board: ReceiptBoard
) -> None:
    board.join(watcher := Watcher())
    await settle()
    await read(store, "ann", 1)
    await store.forget("c")
    await advance(4)
    assert whole(board) == {"ann": 1}, "a read may have been too early for it"
    await advance(SETTLED + 16)
    assert whole(board) == {}
    assert watcher.anews == 2


async def test_what_a_failover_lost_is_told_as_the_store_has_it(store: ModelStore, board: ReceiptBoard) -> None:
    """Else the readers of one process would know another mark than those of the next, until the user reads on."""
    board.join(watcher := Watcher())
    await settle()
    await read(store, "ann", 3)
    await read(store, "bob", 5)
    kept = dict(store.receipts["c"])
    await read(store, "ann", 9)
    store.receipts["c"] = kept
    await advance(SETTLED - 1)
    assert whole(board) == {"ann": 9, "bob": 5}, "a read may have been too early for it"
    await advance(20)
    assert whole(board) == {"ann": 3, "bob": 5}
    assert watcher.anews == 2
    await read(store, "ann", 4)
    await advance(1)
    assert whole(board) == {"ann": 4, "bob": 5}


async def test_it_ends_with_its_feed(store: ModelStore, board: ReceiptBoard) -> None:
    board.join(Watcher())
    await read(store, "ann", 1)
