"""What a feed owes its readers, on virtual time: whatever happens to notices costs delay, never a message."""

from __future__ import annotations

import asyncio
import json
from collections.abc import Sequence

import pytest

from gapless.channels.bounded import LIMIT
from gapless.channels.feed import Feed
from gapless.channels.feed_settings import FeedSettings
from gapless.channels.frames import Frame
from gapless.log.cursor import Position, no_log
from gapless.log.entries import Entry, Gap, GapReason
from gapless.log.errors import StoreUnavailable
from gapless.log.store import Room
from tests.testkit.clock import VirtualClock, advance, settle
from tests.testkit.model_store import ModelStore

pytestmark = pytest.mark.virtual_time

SETTINGS = FeedSettings(recheck=15, linger=10, retention=86_400, page=64)
ROOM = Room(1000, 65_536)


class Ear:
    """A reader that takes everything at once."""

    def __init__(self, feed: Feed) -> None:
        self.feed = feed
        self.position = feed.head
        self.got: list[int] = []
        self.gaps: list[Gap] = []
        self.woken = 0
        feed.audience.join(self)

    def push(self, frames: Sequence[Frame], block: bytes, now: float) -> None:
        assert block == b"".join(frame.block for frame in frames)
        assert frames[0].entry.before == self.position, "pushed over a hole"
        self.got += [frame.position.seq for frame in frames]
        self.position = frames[-1].position

    def rewind(self, gap: Gap) -> None:
        self.gaps.append(gap)
        self.position = gap.resume

    def wake(self) -> None:
        self.woken += 1


async def open_feed(store: ModelStore) -> Feed:
    feed = Feed("c", store, SETTINGS, store.clock.now)
    await feed.ready()
    return feed


async def test_a_proven_notice_costs_no_read(store: ModelStore) -> None:
    store.append("c", "0")
    feed = await open_feed(store)
    ear = Ear(feed)
    store.calls.clear()
    for _ in range(100):
        store.append("c", "1", "2")
        await settle()
    assert ear.got == list(range(2, 202))
    assert not store.calls
    await feed.close()


async def test_a_lost_last_notice_is_read_for_after_three_seconds(store: ModelStore) -> None:
    store.append("c", "0")
    feed = await open_feed(store)
    ear = Ear(feed)
    store.append("c", "1")
    store.notify = False
    store.append("c", "2")
    await advance(3.1)
    assert ear.got == [2, 3]
    await feed.close()


async def test_a_lost_notice_is_found_by_the_recheck(store: ModelStore) -> None:
    store.append("c", "0")
    feed = await open_feed(store)
    ear = Ear(feed)
    store.notify = False
    store.append("c", "1")
    await advance(15.1)
    assert ear.got == [2]
    await feed.close()


async def test_an_idle_feed_reads_once_a_recheck(store: ModelStore) -> None:
    store.append("c", "0")
    feed = await open_feed(store)
    store.calls.clear()
    await advance(150.5)
    assert store.calls == {"tail": 10}
    await feed.close()


async def test_a_busy_feed_does_not_read_for_its_notices(store: ModelStore) -> None:
    store.append("c", "0")
    feed = await open_feed(store)
    store.calls.clear()
    for _ in range(140):
        store.append("c", "1")
        await advance(0.1)
    assert not store.calls
    await advance(60)
    assert store.calls["tail"] <= 6  # one for the silence, four rechecks
    await feed.close()


async def test_a_hole_is_read_and_filled(store: ModelStore) -> None:
    store.append("c", "0")
    feed = await open_feed(store)
    ear = Ear(feed)
    store.notify = False
    store.append("c", "1")
    store.notify = True
    store.append("c", "2")
    await settle()
    assert ear.got == [2, 3]
    await feed.close()


async def test_doubled_and_reordered_notices_change_nothing(store: ModelStore) -> None:
    store.append("c", "0")
    feed = await open_feed(store)
    ear = Ear(feed)
    store.notify = False
    entries = [store.append("c", str(i))[0] for i in range(20)]
    for entry in reversed(entries):
        store.tell("c", [entry])
        store.tell("c", [entry])
    await settle()
    assert ear.got == list(range(2, 22))
    await advance(10)
    assert ear.got == list(range(2, 22))
    assert not ear.gaps
    await feed.close()


async def test_a_forged_notice_is_never_served(store: ModelStore) -> None:
    store.append("c", "0")
    feed = await open_feed(store)
    ear = Ear(feed)
    head = feed.head
    for position, prev in [
        (Position(head.epoch, head.seq + 1, "evil"), "zzzz"),
        (Position(head.epoch, head.seq + 7, "evil"), head.mark),
        (Position("zzzzzzzz", 1, "evil"), "0"),
        (Position(head.epoch, 1, "evil"), "0"),
    ]:
        store.tell("c", [Entry(position, prev, 0, b'{"event":"message","user":null,"data":1,"localId":null}')])
    await advance(10)
    assert ear.got == []
    assert not ear.gaps
    store.append("c", "1")
    await settle()
    assert ear.got == [2]
    await feed.close()


async def test_a_large_notice_names_a_position_and_costs_one_read(store: ModelStore) -> None:
    store.append("c", "0")
    feed = await open_feed(store)
    ear = Ear(feed)
    store.notify = False
    entry = store.append("c", "1", "2", "3")[-1]
    store.calls.clear()
    store.tell("c", entry.position)
    await settle()
    assert ear.got == [2, 3, 4]
    assert store.calls == {"tail": 1}
    await feed.close()


async def test_the_first_message_of_a_channel_arrives(store: ModelStore) -> None:
    feed = await open_feed(store)
    start = feed.head
    assert start == no_log(store.clock.now())
    store.append("c", "1")
    await settle()
    stretch = await feed.after(start, ROOM)
    assert [frame.position.seq for frame in stretch.frames] == [1]
    await feed.close()


async def test_a_thousand_questions_about_one_old_position_share_a_read(store: ModelStore) -> None:
    entries = [store.append("c", str(i))[0] for i in range(300)]
    feed = await open_feed(store)
    store.calls.clear()
    stretches = await asyncio.gather(*(feed.after(entries[3].position, ROOM) for _ in range(1000)))
    assert {stretch.frames[0].position.seq for stretch in stretches} == {5}
    assert store.calls == {"slice": 1}
    await feed.close()


async def test_notices_between_subscribing_and_the_first_read_are_not_lost() -> None:
    store = ModelStore(VirtualClock(), latency=0.5)
    store.append("c", "0")
    feed = Feed("c", store, SETTINGS, store.clock.now)
    await asyncio.sleep(0.75)  # subscribed, and the read is under way
    store.append("c", "1")
    await feed.ready()
    assert feed.head == store.logs["c"][-1].position
    await feed.close()


async def test_whoever_comes_after_this_process_own_first_message_begins_there(store: ModelStore) -> None:
    """The reply of that publish is a notice which the chain can't prove yet: a read is under way."""
    feed = await open_feed(store)
    store.notify = False
    [first] = store.append("c", "1")
    feed.notice([first])
    store.calls.clear()
    assert await feed.back(0) == first.position
    assert store.calls == {"tail": 1}
    await feed.close()


async def test_a_read_that_never_comes_back_ends_the_feed(store: ModelStore) -> None:
    """Whatever fails below: a stream that stays open over a feed that hears nothing is the worst failure there is."""
    feed = await open_feed(store)
    ear = Ear(feed)
    store.stuck = True
    await advance(SETTINGS.recheck + 2 * (LIMIT + 1))
    assert store.calls["tail"] == 3, "it was tried once more"
    assert feed.failure is not None
    assert ear.woken
    with pytest.raises(StoreUnavailable):
        await feed.ready()
    await feed.close()


# --- what reads cost


async def test_a_message_too_large_for_a_notice_is_read_once_and_nothing_beside_it(store: ModelStore) -> None:
    large = json.dumps("x" * 70_000)
    for _ in range(20):
        store.append("c", large)
    feed = await open_feed(store)
    ear = Ear(feed)
    await advance(10)
    store.notify, store.sent = False, 0
    store.calls.clear()
    for _ in range(20):
        store.tell("c", store.append("c", large)[-1].position)
        await settle()
    assert ear.got == list(range(21, 41))
    assert store.calls == {"tail": 20}
    assert store.sent <= 20 * 70_200
    await feed.close()


async def test_a_large_message_that_is_held_already_is_not_read_for_its_notice(store: ModelStore) -> None:
    """As where this process has published it: the reply comes first, and the notice names its position."""
    store.append("c", "0")
    feed = await open_feed(store)
    ear = Ear(feed)
    await advance(10)
    store.notify = False
    entries = store.append("c", json.dumps("x" * 70_000))
    store.calls.clear()
    feed.notice(entries)
    store.tell("c", entries[-1].position)
    await settle()
    assert ear.got == [2]
    assert not store.calls
    await feed.close()


async def test_several_large_messages_told_at_once_are_read_once(store: ModelStore) -> None:
    store.append("c", json.dumps("x" * 70_000))
    feed = await open_feed(store)
    ear = Ear(feed)
    await advance(10)
    store.notify, store.sent = False, 0
    for _ in range(3):
        last = store.append("c", json.dumps("x" * 70_000))[-1].position
    store.tell("c", last)
    await settle()
    assert ear.got == [2, 3, 4]
    assert store.sent <= 3 * 70_200
    await feed.close()


async def test_a_first_look_brings_what_anybody_can_bear(store: ModelStore) -> None:
    for _ in range(64):
        store.append("c", json.dumps("x" * 120_000))
    feed = await open_feed(store)
    assert store.calls == {"subscribe": 1, "tail": 1}
    assert store.sent <= 262_144
    await feed.close()


async def test_what_is_near_the_head_is_read_once_for_all_who_come_back(store: ModelStore) -> None:
    entries = [store.append("c", str(i))[0] for i in range(300)]
    feed = await open_feed(store)
    for entry in entries[-40:]:
        assert (await feed.after(entry.position, ROOM)).gap is None
    assert store.calls == {"subscribe": 1, "tail": 2}
    await feed.close()


async def test_whoever_wants_history_from_the_first_moment_pays_one_read(store: ModelStore) -> None:
    for i in range(300):
        store.append("c", str(i))
    feed = Feed("c", store, SETTINGS, store.clock.now)
    feed.want(20)
    await feed.ready()
    assert (await feed.back(20)).seq == 280
    assert store.calls == {"subscribe": 1, "tail": 1}
    await feed.close()


async def test_a_share_of_a_backlog_is_all_that_is_read(store: ModelStore) -> None:
    entries = [store.append("c", json.dumps("x" * 20_000))[0] for _ in range(200)]
    feed = await open_feed(store)
    store.sent = 0
    stretch = await feed.after(entries[3].position, Room(100, 65_536))
    assert [frame.position.seq for frame in stretch.frames] == [5, 6, 7]
    stretch = await feed.after(entries[3].position, Room(1, 500_000))
    assert [frame.position.seq for frame in stretch.frames] == [5]
    assert store.sent <= 4 * 20_200
    await feed.close()


async def test_what_lies_between_a_place_and_the_tail_is_all_that_is_read(store: ModelStore) -> None:
    entries = [store.append("c", json.dumps("x" * 60_000))[0] for _ in range(10)]
    feed = await open_feed(store)
    store.sent = 0
    stretch = await feed.after(entries[5].position, Room(100, 500_000))
    assert [frame.position.seq for frame in stretch.frames] == [7, 8], "the tail holds the rest"
    assert store.sent <= 2 * 60_200
    await feed.close()


async def test_positions_that_somebody_made_up_bring_nothing_and_share_their_reads(store: ModelStore) -> None:
    """From the future, from another epoch, with another mark: a hundred cost what one does, or one script each."""
    head = [store.append("c", json.dumps("x" * 20_000))[0] for _ in range(100)][-1].position
    feed = await open_feed(store)
    store.calls.clear()
    store.sent = 0
    future = [head._replace(seq=head.seq + 1 + n) for n in range(50)]
    future += [Position(f"zzzzzz{n:02}", 1, "aaaa") for n in range(50)]
    async with asyncio.timeout(60):
        told = await asyncio.gather(*(feed.after(place, ROOM) for place in future))
    assert {one.gap.reason for one in told if one.gap} == {GapReason.RESET}
    assert len([one for one in told if one.gap]) == 100
    assert store.calls["tail"] <= 5, "one a second"
    assert store.calls["slice"] == 1, "the log's ends, for all"
    store.calls.clear()
    store.sent = 0
    wrong = [head._replace(seq=1 + n, mark="zzzz") for n in range(90)]
    wrong += [Position("00000000", 1 + n, "aaaa") for n in range(10)]
    told = await asyncio.gather(*(feed.after(place, ROOM) for place in wrong))
    assert {one.gap.reason for one in told if one.gap} == {GapReason.RESET}
    assert store.calls["slice"] <= 100
    assert store.sent == 0
    await feed.close()


async def test_cursors_that_say_nothing_share_a_read_a_second(store: ModelStore) -> None:
    store.append("c", "0", "1")
    feed = await open_feed(store)
    store.calls.clear()
    for _ in range(100):
        assert (await feed.unknown()).oldest == store.logs["c"][0].position
        await advance(0.02)
    assert store.calls["slice"] <= 2
    await feed.close()


async def test_what_is_older_than_all_that_is_held_makes_the_feed_look_once(store: ModelStore) -> None:
    entries = [store.append("c", json.dumps("x" * 70_000))[0] for _ in range(20)]
    feed = await open_feed(store)
    store.calls.clear()
    store.sent = 0
    store.tell("c", [entries[0]])
    await settle()
    assert store.calls == {"tail": 1}
    assert store.sent <= 70_200
    await feed.close()
