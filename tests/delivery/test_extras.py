"""What a client may ask for beside messages, on virtual time: all from the start, `live`, visible heartbeats.

(docs/protocol.md, 3.9 to 3.12)
"""

from __future__ import annotations

import asyncio
import json
from itertools import islice

import pytest

from gapless.delivery.buffered import MOST_MESSAGES
from gapless.delivery.session import Extras, Start
from gapless.delivery.streaming import CHUNK
from gapless.log.cursor import parse_cursor
from tests.testkit.clock import advance, settle
from tests.testkit.extras_reader import LIVE, Reader, kinds, reading, resume, turn
from tests.testkit.model_store import ModelStore

pytestmark = pytest.mark.virtual_time


# --- 3.9: all from the start


async def test_from_the_start_of_the_log() -> None:
    store = ModelStore()
    first = store.append("c", "1", "2")[0]
    async with reading(store, extras=Extras()) as reader:
        store.append("c", "3")
        await settle()
        assert reader.kinds == ["hello", *["message"] * 3]
        assert reader.events[0].last_event_id == f"{first.position.epoch}-0-0"


async def test_from_the_start_where_older_messages_were_trimmed_is_a_gap_with_their_number() -> None:
    store = ModelStore(cap=20)
    entries = [store.append("c", str(i))[0] for i in range(60)]
    async with reading(store, extras=Extras()) as reader:
        hello, gap, *rest = reader.events
        told = json.loads(gap.data)
        assert (told["reason"], told["missed"] + len(rest)) == ("trimmed", 60)
        assert rest[-1].last_event_id == str(entries[-1].position)
    again = Start(cursor=parse_cursor(hello.last_event_id, 1))
    async with reading(store, start=again, extras=Extras()) as reader:
        assert reader.events[1].data == gap.data, "who was cut off after hello is told the same gap"


async def test_from_the_start_of_a_log_that_has_not_begun() -> None:
    store = ModelStore()
    store.append("d", "1")
    async with reading(store, "c", "d", extras=Extras()) as reader:
        assert reader.kinds == ["hello", "message"]
        store.append("c", "1")
        await settle()
        assert reader.kinds == ["hello", "message", "message"]


# --- 3.10: live


async def test_live_comes_after_what_was_there_and_once() -> None:
    store = ModelStore()
    for i in range(300):
        store.append("c", str(i))
    async with reading(store) as reader:
        await advance(1)
        store.append("c", "news")
        await settle()
        assert reader.kinds == ["hello", *["message"] * 300, "live", "message"]
        live = reader.events[301]
        assert json.loads(live.data) == {"cursor": reader.events[300].last_event_id}
        assert live.last_event_id == reader.events[300].last_event_id, "it has no id of its own"
        assert b"id: " not in reader.body.partition(b"event: live")[0].rpartition(b"\n\n")[2]


async def test_live_comes_at_once_where_there_is_nothing() -> None:
    async with reading(ModelStore(), start=Start()) as reader:
        assert reader.kinds == ["hello", "live"]


async def test_live_comes_though_the_channel_never_rests() -> None:
    """It tells what was there at `hello` from what came since, and waits for no silence."""
    store, reader = ModelStore(), Reader()
    large = json.dumps("x" * CHUNK)
    for _ in range(5):
        store.append("c", large)
    more = iter(range(40))
    reader.before_each = lambda: [store.append("c", large) for _ in islice(more, 1)]

    async with reading(store, reader=reader):
        await advance(5)
        at = reader.kinds.index("live")
        assert 5 <= at < 15, "soon after the five that were there"
        assert reader.kinds.count("live") == 1


async def test_live_waits_for_every_channel() -> None:
    store = ModelStore()
    store.append("a", "1")
    for i in range(300):
        store.append("b", str(i))
    async with reading(store, "a", "b") as reader:
        await advance(1)
        assert reader.kinds == ["hello", *["message"] * 301, "live"]


async def test_live_comes_after_the_gap_of_a_position_that_the_log_does_not_know() -> None:
    store = ModelStore()
    epoch = store.append("c", "1", "2", "3")[0].position.epoch
    ahead = Start(cursor=parse_cursor(f"{epoch}-99-abcd", 1))
    async with reading(store, start=ahead) as reader:
        await advance(10)
        assert reader.kinds == ["hello", "gap", *["message"] * 3, "live"]


async def test_no_live_for_who_does_not_ask() -> None:
    async with reading(ModelStore(), extras=Extras()) as reader:
        assert reader.kinds == ["hello"]


async def test_in_a_turn_live_comes_where_it_began_behind() -> None:
    store = ModelStore()
    blocks = await turn(store, start=Start())
    assert kinds(blocks) == ["hello", "live", "end"], "a new client is answered at once anyway"
    store.append("c", "1", "2")
    assert kinds(await turn(store, start=resume(blocks))) == ["hello", "message", "message", "live", "end"]


async def test_in_a_turn_of_many_messages_live_comes_with_the_last() -> None:
    store = ModelStore()
    blocks = await turn(store, start=Start())
    for i in range(2 * MOST_MESSAGES + 1):
        store.append("c", str(i))
    told = []
    for _ in range(3):
        blocks = await turn(store, start=resume(blocks))
        told.append(kinds(blocks).count("live"))
    assert told == [0, 0, 1]


async def test_a_quiet_turn_with_live_costs_what_one_without_does() -> None:
    store, costs = ModelStore(), []
    store.append("c", "1")
    for extras in (Extras(), LIVE):
        blocks = await turn(store, start=Start())
        store.calls.clear()
        waiting = asyncio.create_task(turn(store, start=resume(blocks), extras=extras))
        await advance(7)
        assert not waiting.done(), "live alone never ends a turn"
        store.append("c", "2")
        await settle()
        assert kinds(waiting.result()) == ["hello", "message", "end"], "which is news, and no replay"
        costs.append(dict(store.calls))
    assert costs[0] == costs[1]


# --- 3.12: visible heartbeats


@pytest.mark.parametrize(("extras", "sent"), [(Extras(), b":\n"), (Extras(beat=True), b"event: beat\ndata: {}\n\n")])
async def test_heartbeats(extras: Extras, sent: bytes) -> None:
    async with reading(ModelStore(), start=Start(), extras=extras) as reader:
        hello = reader.body
        await advance(31)
        assert reader.body == hello + sent * 2
