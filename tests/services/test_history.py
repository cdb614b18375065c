"""History without HTTP: pages from a feed or the log, what is waited for, and what a reader pays."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator

import pytest

from gapless.auth.rates import TRAFFIC_UNIT, Who
from gapless.channels.feed_settings import FeedSettings
from gapless.channels.feeds import Feeds, Visitor
from gapless.log.cursor import Position
from gapless.log.entries import GapReason
from gapless.log.store import MOST_BYTES, NEWEST, SLICE
from gapless.services.history import History
from gapless.services.pages import Page
from tests.testkit.model_store import ModelStore

pytestmark = pytest.mark.virtual_time

SETTINGS = FeedSettings(recheck=15, linger=0, retention=3600, page=64)


@pytest.fixture
def store() -> ModelStore:
    return ModelStore()


@pytest.fixture
async def feeds(store: ModelStore) -> AsyncIterator[Feeds]:
    found = Feeds(store, SETTINGS, store.clock.now)
    yield found
    await found.close()


@pytest.fixture
def history(store: ModelStore, feeds: Feeds) -> History:
    return History(store, feeds, store.clock.now, MOST_BYTES)


def seqs(page: Page) -> list[int]:
    return [frame.position.seq for frame in page.frames]


def paying() -> tuple[Visitor, list[float]]:
    paid: list[float] = []
    return Visitor(Who("ann", "192.0.2.1"), paid.append), paid


async def test_the_newest_come_from_the_log_where_nobody_reads(store: ModelStore, history: History) -> None:
    entries, (visitor, paid) = store.append("c", *"12345"), paying()
    page = await history.newest("c", 3, visitor)
    assert (seqs(page), page.cursor, page.gap) == ([3, 4, 5], entries[-1].position, None)
    assert (store.calls["tail"], sum(paid)) == (1, NEWEST)


async def test_and_from_an_open_feed_for_nothing(store: ModelStore, feeds: Feeds, history: History) -> None:
    entries, (visitor, paid) = store.append("c", *"12345"), paying()
    async with feeds.open(["c"]) as [feed]:
        feed.want(5)
        await feed.ready()
        reads = store.calls["tail"]
        page = await history.newest("c", 3, visitor)
        assert (seqs(page), page.cursor) == ([3, 4, 5], entries[-1].position)
        assert (store.calls["tail"], sum(paid)) == (reads, 0)


async def test_bytes_are_paid_for_wherever_they_come_from(store: ModelStore, history: History) -> None:
    store.append("c", f'"{"x" * 2 * TRAFFIC_UNIT}"')
    visitor, paid = paying()
    await history.newest("c", 3, visitor)
    assert sum(paid) == NEWEST + 2


async def test_before_a_message(store: ModelStore, history: History) -> None:
    entries, (visitor, paid) = store.append("c", *"12345"), paying()
    page = await history.before("c", entries[3].position, 2, visitor)
    assert (seqs(page), page.cursor, page.gap, sum(paid)) == ([2, 3], None, None, SLICE)


async def test_one_message_of_many_is_all_that_is_read(store: ModelStore, history: History) -> None:
    entries = [store.append("c", f'"{"x" * 60_000}"')[0] for _ in range(60)]
    for ask in (
        lambda: history.newest("c", 1),
        lambda: history.before("c", entries[-1].position, 1),
    ):
        store.sent = 0
        assert len((await ask()).frames) == 1
        assert store.sent < 61_000


async def test_after_a_position(store: ModelStore, history: History) -> None:
    entries = store.append("c", *"12345")
    page = await history.after("c", entries[1].position, 2)
    assert (seqs(page), page.cursor, page.gap) == ([3, 4], entries[3].position, None)


async def test_what_comes_next_is_waited_for(store: ModelStore, history: History) -> None:
    entries = store.append("c", "1")
    loop = asyncio.get_running_loop()
    waiting = loop.create_task(history.after("c", entries[0].position, 10, patience=25))
    await asyncio.sleep(7)
    assert not waiting.done()
    store.tell("c", store.append("c", "2"))
    began = loop.time()
    assert seqs(await waiting) == [2]
    assert loop.time() == began


async def test_and_no_longer_than_one_has_patience(store: ModelStore, history: History) -> None:
    entries = store.append("c", "1")
    began = asyncio.get_running_loop().time()
    page = await history.after("c", entries[0].position, 10, patience=25)
    assert asyncio.get_running_loop().time() - began == 25
    assert (seqs(page), page.cursor, page.gap) == ([], entries[0].position, None)


async def test_a_cursor_that_says_nothing_is_told_so(store: ModelStore, history: History) -> None:
    store.append("c", *"123")
    page = await history.after("c", None, 10)
    assert page.gap is not None
    assert (page.gap.reason, seqs(page)) == (GapReason.UNKNOWN, [1, 2, 3])


async def test_another_history_is_a_gap_and_then_what_is_kept(store: ModelStore, history: History) -> None:
    entries = store.append("c", *"123")
    page = await history.after("c", Position("00000000", 1, "aaaa"), 10)
    assert page.gap is not None
    assert (page.gap.reason, seqs(page), page.cursor) == (GapReason.RESET, [1, 2, 3], entries[-1].position)


async def test_a_page_holds_what_fits_and_at_least_one(store: ModelStore, feeds: Feeds) -> None:
    entries, small = store.append("c", *[f'"{"x" * 400}"'] * 5), History(store, feeds, store.clock.now, 1500)
    assert seqs(await small.newest("c", 10)) == [4, 5]
    assert seqs(await small.after("c", entries[0].position, 10)) == [2, 3]
    tiny = History(store, feeds, store.clock.now, 1)
    assert seqs(await tiny.before("c", entries[3].position, 10)) == [3]
