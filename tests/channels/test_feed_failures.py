"""What a feed does while it hears nothing or its reads fail: it recovers, or it ends and says so."""

from __future__ import annotations

import asyncio

import pytest

from gapless.log.errors import StoreUnavailable
from tests.channels.test_feed import ROOM, SETTINGS, Ear, open_feed
from tests.testkit.clock import advance, settle
from tests.testkit.model_store import ModelStore

pytestmark = pytest.mark.virtual_time


async def test_a_silent_feed_fails(store: ModelStore) -> None:
    feed = await open_feed(store)
    ear = Ear(feed)
    store.each_ear("c", lambda listener: listener.lost())
    await advance(3.1)
    assert feed.failure is not None
    assert ear.woken
    with pytest.raises(StoreUnavailable):
        await feed.after(ear.position, ROOM)
    await feed.close()


async def test_a_silent_feed_fails_in_time_whatever_it_reads_meanwhile(store: ModelStore) -> None:
    feed = await open_feed(store)
    await advance(SETTINGS.recheck - 1)
    store.each_ear("c", lambda listener: listener.lost())
    await advance(2)
    assert store.calls["tail"] == 2, "the recheck was due"
    assert feed.failure is None
    await advance(1.1)
    assert feed.failure is not None


async def test_a_feed_that_hears_again_reads_what_it_missed(store: ModelStore) -> None:
    store.append("c", "0")
    feed = await open_feed(store)
    ear = Ear(feed)
    store.each_ear("c", lambda listener: listener.lost())
    store.notify = False
    store.append("c", "1")
    await advance(2)
    store.each_ear("c", lambda listener: listener.heard())
    await settle()
    assert ear.got == [2]
    assert feed.failure is None
    await feed.close()


async def test_a_defect_of_ours_ends_the_feed(
    store: ModelStore, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    feed = await open_feed(store)
    ear = Ear(feed)
    monkeypatch.setattr(store, "tail", lambda *_: 1 / 0)
    await advance(SETTINGS.recheck + 1)
    assert feed.failure is not None
    assert ear.woken
    assert "the feed of c broke" in caplog.text
    await feed.close()


async def test_reads_that_fail_for_a_moment_are_borne(store: ModelStore) -> None:
    store.append("c", "0")
    feed = await open_feed(store)
    ear = Ear(feed)
    store.down = True
    await advance(16)
    store.down = False
    store.append("c", "1")
    await advance(30)
    assert feed.failure is None
    assert ear.got == [2]
    await feed.close()


async def test_reads_that_keep_failing_end_the_feed(store: ModelStore) -> None:
    feed = await open_feed(store)
    store.down = True
    await advance(19)
    assert feed.failure is not None
    await feed.close()


async def test_a_feed_whose_task_somebody_cancels_says_so(store: ModelStore) -> None:
    feed = await open_feed(store)
    ear = Ear(feed)
    [task] = [task for task in asyncio.all_tasks() if task.get_name() == "gapless feed c"]
    task.cancel()
    await settle()
    assert feed.failure is not None
    assert ear.woken
    with pytest.raises(StoreUnavailable):
        await feed.ready()
    assert not store.subscriptions["c"], "it still listens"
