"""What a stream owes its client, on virtual time and with a client that takes what it likes."""

from __future__ import annotations

import asyncio
import json

import pytest

from gapless.channels.feed_settings import FeedSettings
from gapless.channels.feeds import Feeds
from gapless.delivery.channel_cursor import ChannelCursor
from gapless.delivery.end import End
from gapless.delivery.session import Start, StreamLimits
from gapless.delivery.streaming import CHUNK, PATIENCE, Stream
from gapless.log.cursor import parse_cursor
from tests.testkit.clock import advance, settle
from tests.testkit.model_store import ModelStore
from tests.testkit.stream_client import TERMS, Client, Session, reading

pytestmark = pytest.mark.virtual_time


@pytest.fixture(autouse=True, params=["send", "direct write"])
def _both_ways(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> None:
    """Every promise holds whether or not the server offers direct writes."""
    monkeypatch.setattr(Client, "direct", request.param == "direct write")


@pytest.fixture
def store() -> ModelStore:
    return ModelStore()


async def test_hello_comes_first_and_carries_the_head(store: ModelStore) -> None:
    head = store.append("c", "1", "2")[-1].position
    async with reading(store) as session:
        first = session.client.blocks[0]
        assert session.client.text.startswith("retry: 700\nid: ")
        assert first["event"] == "hello"
        assert first["id"] == str(head)
        assert json.loads(first["data"]) == {
            "cursor": str(head), "channels": ["c"], "heartbeat": 15, "lifetime": 240, "mode": "streaming",
        }  # fmt: skip


async def test_messages_arrive_at_once_without_a_read(store: ModelStore) -> None:
    store.append("c", "0")
    async with reading(store) as session:
        store.calls.clear()
        for i in range(50):
            store.append("c", str(i))
            await settle()
        assert session.client.seqs == list(range(2, 52))
        assert not store.calls


async def test_what_is_live_is_written_at_once_and_what_can_not_be_is_sent(
    store: ModelStore, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(Client, "direct", True)
    store.append("c", "0")
    async with reading(store) as session:
        client = session.client
        assert client.written == 1, "the greeting, too"
        for i in range(3):
            store.append("c", str(i))
            await settle()
        assert client.written == 4
        client.open.clear()
        store.append("c", "3")
        await settle()
        assert (client.written, client.waiting) == (4, 1), "left to `send`, which waits"
        client.open.set()
        store.append("c", "4")
        await settle()
        assert client.seqs == [2, 3, 4, 5, 6], "no direct write overtakes it"
        assert client.written == 5, "so is what it missed"
        store.append("c", "5")
        await settle()
        assert client.written == 6, "it is live again"


async def test_a_cursor_is_resumed_after_it(store: ModelStore) -> None:
    entries = [store.append("c", str(i))[0] for i in range(300)]
    async with reading(store, start=Start(cursor=(entries[9].position,))) as session:
        await advance(1)
        assert session.client.blocks[0]["id"] == str(entries[9].position)
        assert session.client.seqs == list(range(11, 301))
        assert session.stream.messages == 290


async def test_history_comes_first(store: ModelStore) -> None:
    for i in range(300):
        store.append("c", str(i))
    for count in (1, 10, 64, 65, 200):
        async with reading(store, start=Start(history=count)) as session:
            await advance(1)
            assert session.client.seqs == list(range(301 - count, 301))
            assert session.client.blocks[0]["id"].split("-")[1] == str(300 - count)


async def test_joined_before_any_message_and_away_when_it_came(store: ModelStore) -> None:
    async with reading(store) as session:
        cursor = parse_cursor(session.client.blocks[0]["id"], 1)
    store.append("c", "1")
    async with reading(store, start=Start(cursor=cursor)) as session:
        assert session.client.seqs == [1]
        assert not session.client.data("gap")


async def test_a_slow_reader_costs_one_chunk_and_misses_nothing(store: ModelStore) -> None:
    store.append("c", "0")
    async with reading(store) as session:
        session.client.open.clear()
        for i in range(2000):
            store.append("c", json.dumps("x" * 1000))
            if i % 100 == 0:
                await settle()
        await settle()
        assert session.client.waiting == 1
        session.client.open.set()
        await advance(1)
        seqs = session.client.seqs
        gaps = session.client.data("gap")
        assert len(gaps) == 1  # the log keeps 1000; the rest is told
        assert len(seqs) + gaps[0]["missed"] == 2000
        assert seqs == sorted(set(seqs))
        assert max(len(chunk) for _, chunk in session.client.chunks) <= CHUNK


async def test_a_large_message_that_comes_live_waits_until_there_is_room(store: ModelStore) -> None:
    """Launched at once it would be held for each reader that takes nothing, beside what the transport holds."""
    store.append("c", "0")
    async with reading(store) as session:
        session.client.open.clear()
        store.append("c", json.dumps("x" * 2 * CHUNK))
        await settle()
        assert (session.client.waiting, session.client.held) == (1, 0)
        session.client.open.set()
        await settle()
        assert session.client.seqs == [2]


async def test_nothing_is_fetched_for_a_reader_before_it_takes_more(store: ModelStore) -> None:
    first = store.append("c", "0")[0].position
    for _ in range(20):
        store.append("c", json.dumps("x" * 50_000))
    async with reading(store, start=Start((first,)), shut=True) as session:
        client = session.client
        for taken in range(3):
            client.open.set()  # what waits is taken, and no more
            client.open.clear()
            store.calls.clear()
            await settle()
            assert (client.waiting, len(client.seqs)) == (1, taken // 2), "in turn a question whether there is room"
            assert (client.held > 50_000, store.calls["slice"]) == ((True, 1) if taken % 2 else (False, 0))


async def test_a_large_live_message_waits_in_the_log_and_not_here(store: ModelStore) -> None:
    """For a reader of whom nobody knows whether he takes it. Only what is small is written without asking."""
    store.append("c", "0")
    async with reading(store) as session:
        session.client.open.clear()
        store.append("c", json.dumps("x" * CHUNK))
        await settle()
        assert (session.client.waiting, session.client.held) == (1, 0)
        session.client.open.set()
        await settle()
        assert session.client.seqs == [2]


async def test_a_reader_that_takes_nothing_ends_as_slow(store: ModelStore) -> None:
    store.append("c", "0")
    async with reading(store) as session:
        session.client.open.clear()
        store.append("c", "1")
        store.append("c", "2")
        await advance(PATIENCE + 2)
        assert session.task.done()
        assert session.task.result() is End.SLOW


async def test_heartbeats_after_silence_only(store: ModelStore) -> None:
    store.append("c", "0")
    async with reading(store) as session:
        for _ in range(10):
            await advance(10)
            store.append("c", "1")
        await settle()
        assert session.client.text.count("\n:\n") == 0
        await advance(46)
        beats = [at for at, chunk in session.client.chunks if chunk == b":\n"]
        assert beats == [115, 130, 145]


async def test_the_deadline_ends_it_with_a_word(store: ModelStore) -> None:
    async with reading(store, limits=StreamLimits(5, 15, 700, 0.5)) as session:
        await advance(5.01)
        assert session.task.result() is End.DEADLINE
        assert session.client.blocks[-1] == {"event": "end", "data": '{"reason":"deadline"}'}


async def test_shutdown_ends_it_at_once_and_spreads_the_return(store: ModelStore) -> None:
    async with reading(store) as session:
        session.stream.stop(End.SHUTDOWN)
        await settle()
        assert session.task.result() is End.SHUTDOWN
        assert session.client.blocks[-1] == {"retry": "875", "event": "end", "data": '{"reason":"shutdown"}'}


@pytest.mark.parametrize("keeps_up", [True, False])
async def test_a_client_that_left_is_told_nothing_more(keeps_up: bool, store: ModelStore) -> None:
    store.append("c", "1")
    async with reading(store) as session:
        if not keeps_up:
            session.client.open.clear()
            store.append("c", "2")
            await settle()
        told = list(session.client.chunks)
        session.stream.leave()
        with pytest.raises(ConnectionResetError):
            await session.task
        assert session.client.chunks == told
        session.task = asyncio.create_task(asyncio.sleep(0))  # type: ignore[arg-type]  # for who ends it


async def test_an_unreachable_store_says_only_goodbye(store: ModelStore) -> None:
    store.down = True
    async with reading(store) as session:
        await advance(5)
        assert session.task.result() is End.UNAVAILABLE
        [block] = session.client.blocks
        assert block == {"retry": "6250", "event": "end", "data": '{"reason":"unavailable"}'}


async def test_a_silent_feed_ends_its_streams(store: ModelStore) -> None:
    async with reading(store) as session:
        store.each_ear("c", lambda listener: listener.lost())
        await advance(3.1)
        assert session.task.result() is End.UNAVAILABLE


async def test_many_channels_share_one_cursor(store: ModelStore) -> None:
    for channel in "abc":
        store.append(channel, "0")
    async with reading(store, "a", "b", "c") as session:
        for i in range(30):
            store.append("abc"[i % 3], str(i))
            await settle()
        messages = [b for b in session.client.blocks if b.get("event", "message") == "message"]
        assert len(messages) == 30
        for block in messages:
            positions = parse_cursor(block["id"], 3)
            message = json.loads(block["data"])
            assert positions is not None
            assert str(positions["abc".index(message["channel"])]) == message["id"]
        middle = parse_cursor(messages[11]["id"], 3)
    async with reading(store, "a", "b", "c", start=Start(cursor=middle)) as session:
        await settle()
        rest = {json.loads(b["data"])["id"] for b in session.client.blocks if b.get("event", "message") == "message"}
        assert rest == {json.loads(b["data"])["id"] for b in messages[12:]}


async def test_channels_take_turns_in_a_backlog(store: ModelStore) -> None:
    first = [store.append(channel, "0")[0].position for channel in "ab"]
    for _ in range(900):
        store.append("a", json.dumps("x" * 500))
    store.append("b", "1")
    async with reading(store, "a", "b", start=Start(cursor=tuple(first))) as session:
        await advance(1)
        channels = [message["channel"] for message in session.client.data("message")]
        assert len(channels) == 901
        assert channels.index("b") <= 130


async def test_an_unreadable_cursor_gets_a_gap_per_channel_and_everything(store: ModelStore) -> None:
    store.append("a", "1", "2")
    store.append("b", "3")
    async with reading(store, "a", "b", start=Start(unreadable=True)) as session:
        hello, one, two, *rest = session.client.blocks
        assert "id" not in hello
        assert json.loads(hello["data"])["cursor"] is None
        assert "id" not in one  # a client that is cut off here must be told again
        assert parse_cursor(two["id"], 2) is not None
        assert [gap["reason"] for gap in session.client.data("gap")] == ["unknown", "unknown"]
        assert len(rest) == 3


async def test_a_reader_that_knows_another_history_than_the_feed_waits_for_a_read(store: ModelStore) -> None:
    """It comes from another instance, which has heard of the failover, and has all that there is."""
    store.append("c", "1", "2", "3", "4", "5")
    async with reading(store) as old:
        store.notify = False
        store.forget_last("c", 2)
        newest = store.append("c", "44", "55")[-1]
        store.calls.clear()
        client = Client()
        new = Session(old.feeds, Start((newest.position,)), TERMS, client)
        await advance(2)
        assert store.calls == {"tail": 2, "slice": 1}, "one question, and the read that finds the fork, page and all"
        store.notify = True
        store.append("c", "66")
        await settle()
        assert client.seqs == [6]
        assert old.client.seqs == [4, 5, 6], "and whoever followed the old one is told"
        assert [gap["reason"] for gap in old.client.data("gap")] == ["reset"]
        new.task.cancel()


async def test_history_rewritten_behind_a_live_stream_is_told_before_what_follows(store: ModelStore) -> None:
    store.append("c", *"01234")
    async with reading(store) as session:
        store.append("c", "5", "6")
        await settle()
        store.forget_last("c", 2)
        store.notify = False
        new = store.append("c", "7")
        store.notify = True
        new += store.append("c", "8")
        await settle()
        events = [b.get("event", "message") for b in session.client.blocks]
        assert events == ["hello", "message", "message", "gap", "message", "message"]
        gap = session.client.data("gap")[0]
        assert gap["reason"] == "reset"
        assert gap["oldest"] == str(new[0].position)
        assert session.client.blocks[3]["id"] == str(new[0].before)


async def test_a_send_that_fails_ends_the_stream(store: ModelStore) -> None:
    store.append("c", "0")
    async with reading(store) as session:
        session.client.gone = True
        store.append("c", "1")
        await settle()
        assert session.task.done()


async def test_a_hundred_streams_cost_what_one_does(store: ModelStore) -> None:
    store.append("c", "0")
    feeds = Feeds(store, FeedSettings(15, 10, 86_400, 64), store.clock.now)
    clients = [Client() for _ in range(100)]
    async with feeds.open(["c"]) as opened:
        streams = [Stream(opened, Start(), TERMS) for _ in clients]
        tasks = [asyncio.create_task(s.run(c.send)) for s, c in zip(streams, clients, strict=True)]  # type: ignore[arg-type]
        await settle()
        assert store.calls == {"subscribe": 1, "tail": 1}
        store.append("c", "1")
        await settle()
        bodies = {id(client.chunks[-1][1]) for client in clients}
        assert len(bodies) == 1, "encoded once, the same bytes for all"
        for stream in streams:
            stream.stop(End.SHUTDOWN)
        await asyncio.gather(*tasks)
    await feeds.close()
    assert store.calls == {"subscribe": 1, "tail": 1}


async def test_a_defect_of_ours_ends_a_stream_with_a_word(
    store: ModelStore, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    """An exception that escapes stops an EventSource for ever; one that is told lets it come back."""
    store.append("c", "1")
    async with reading(store) as session:
        monkeypatch.setattr(ChannelCursor, "level", lambda _: 1 / 0)
        session.stream.fall_behind()
        assert await session.task is End.UNAVAILABLE
        assert session.client.data("end") == [{"reason": "unavailable"}]
        assert "a stream broke" in caplog.text
