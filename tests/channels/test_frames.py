"""Blocks of an event stream: one message is one event with its own fields, whoever reads it and however sloppily."""

from __future__ import annotations

import gc
import json
import re
from collections.abc import Callable
from dataclasses import replace
from datetime import UTC, datetime
from typing import Any, NamedTuple

import httpx
import pytest
from httpx_sse import EventSource
from hypothesis import example, given
from hypothesis import strategies as st

from gapless.api.schemas import Message
from gapless.channels import frames
from gapless.channels.frames import Frame, first_that_fit, last_that_fit
from gapless.delivery import sse
from gapless.delivery.end import End
from gapless.delivery.sse import HEARTBEAT
from gapless.log.cursor import Position, format_cursor
from gapless.log.entries import Entry, Gap, GapReason
from gapless.log.errors import CorruptLog
from gapless.log.store import Room
from tests.testkit import strategies as some
from tests.testkit.event_stream import EventStreamParser

OPENING = b": a stream\nid: before\ndata: 0\n\n"


class Event(NamedTuple):
    id: str
    event: str
    data: str


def by_the_standard(stream: bytes) -> list[Event]:
    return [Event(e.last_event_id, e.type, e.data) for e in EventStreamParser().feed(stream)]


def by_httpx_sse(stream: bytes) -> list[Event]:
    response = httpx.Response(200, headers={"content-type": "text/event-stream"}, content=stream)
    return [Event(e.id, e.event or "message", e.data) for e in EventSource(response).iter_sse()]


def by_splitlines(stream: bytes) -> list[Event]:
    """Clients that take Python's word for what a line is: it knows ten ends, of which JSON escapes seven."""
    return by_httpx_sse("".join(line + "\n" for line in stream.decode().splitlines()).encode())


def later(read: Callable[[bytes], list[Event]], stream: bytes) -> list[Event]:
    """What is read after the block that set the last event id to `before`."""
    opening, *events = read(OPENING + stream)
    assert opening == ("before", "message", "0")
    return events


READERS = [by_the_standard, by_httpx_sse, by_splitlines]
every_reader = pytest.mark.parametrize("read", READERS)


class Sent(NamedTuple):
    """A message on its way, and what a reader should find in it."""

    channel: str
    frame: Frame
    wanted: dict[str, Any]


@st.composite
def sent(draw: st.DrawFn) -> Sent:
    channel, user, time = draw(some.channels), draw(some.users), draw(st.integers(0, 10**13))
    message = Message(data=draw(some.json_values), event=draw(some.events), localId=draw(some.local_ids))
    frame = Frame(channel, Entry(draw(some.message_ids), "m4ez", time, message.draft(user).body))
    wanted = {
        "id": str(frame.position),
        "channel": channel,
        "event": message.event,
        "user": user,
        "data": message.data,
        "localId": message.localId,
        "timestamp": frames.timestamp(time),
    }
    return Sent(channel, frame, wanted)


# --- nothing forges a field or a block


@given(several=st.lists(sent(), min_size=1, max_size=4))
def test_each_message_is_one_event_and_says_what_was_sent(several: list[Sent]) -> None:
    stream = b"".join(HEARTBEAT + one.frame.block for one in several) + HEARTBEAT
    told = [(one.wanted["id"], one.wanted["event"]) for one in several]
    for read in READERS:
        events = later(read, stream)
        assert [(event.id, event.event) for event in events] == told, read
        assert [json.loads(event.data) for event in events] == [one.wanted for one in several], read


@given(sent())
def test_a_frame_keeps_its_message_once(one: Sent) -> None:
    """A tail holds hundreds. What a frame says beside its block, it makes of the block."""
    assert [kept for kept in gc.get_referents(one.frame) if isinstance(kept, bytes)] == [one.frame.block]


@given(one=sent(), cursor=some.cursors)
def test_under_a_cursor_only_the_id_changes(one: Sent, cursor: tuple[Position, ...]) -> None:
    for read in READERS:
        (event,) = read(b"".join(one.frame.under(format_cursor(cursor).encode())))
        (plain,) = read(one.frame.block)
        assert event == plain._replace(id=format_cursor(cursor)), read


@given(one=sent())
def test_a_message_in_history_is_the_bytes_of_the_streams_data(one: Sent) -> None:
    (event,) = by_the_standard(one.frame.block)
    assert one.frame.json.decode() == event.data
    assert json.loads(one.frame.json) == one.wanted


@given(one=sent())
def test_a_block_is_lines_of_known_fields_and_ends_once(one: Sent) -> None:
    *lines, last, end = one.frame.block.split(b"\n")
    names = [line.split(b": ")[0] for line in lines]
    assert names in ([b"id", b"data"], [b"id", b"event", b"data"])
    assert (last, end) == (b"", b"")
    assert not set(one.frame.block) & (set(range(0x20)) - {0x0A})
    assert one.frame.size == len(one.frame.block)


@every_reader
def test_a_block_without_its_blank_line_is_no_event(read: Callable[[bytes], list[Event]]) -> None:
    frame = Frame("c", Entry(Position("t9x2k0ab", 1, "7qd1"), "0", 0, some.body("x")))
    assert read(frame.block + frame.block[:-1]) == read(frame.block)
    assert len(read(frame.block)) == 1


def test_the_default_event_has_no_line_of_its_own() -> None:
    frame = Frame("c", Entry(Position("t9x2k0ab", 1, "7qd1"), "0", 0, some.body("x")))
    assert b"event:" not in frame.block


@pytest.mark.parametrize(
    "body", [b"", b"{}", b"[1]", b'{"user":1}', b'{"event":"message', b'{"event":"message"', b'"event":"message"}']
)
def test_a_body_of_another_make_is_refused(body: bytes) -> None:
    with pytest.raises(CorruptLog):
        Frame("c", Entry(Position("t9x2k0ab", 1, "7qd1"), "0", 0, body))


# --- our own events


@given(
    cursor=st.none() | some.cursors,
    channels=st.lists(some.channels, min_size=1, max_size=16),
    heartbeat=st.floats(0.05, 300),
    lifetime=st.floats(0.2, 86_400),
)
def test_hello_says_where_its_stream_begins(
    cursor: tuple[Position, ...] | None, channels: list[str], heartbeat: float, lifetime: float
) -> None:
    block = sse.hello(cursor, channels, heartbeat=heartbeat, lifetime=lifetime, mode="streaming", retry=700)
    assert block.startswith(b"retry: 700\n")
    (event,) = later(by_the_standard, block)
    told = json.loads(event.data)
    assert (event.event, event.id) == ("hello", "before" if cursor is None else format_cursor(cursor))
    assert told["cursor"] == (None if cursor is None else format_cursor(cursor))
    assert (told["channels"], told["mode"]) == (channels, "streaming")
    assert told["heartbeat"] == pytest.approx(heartbeat, abs=0.0006)
    assert told["lifetime"] == pytest.approx(lifetime, abs=0.0006)


def test_whole_seconds_are_written_without_a_fraction() -> None:
    block = sse.hello(None, ["c"], heartbeat=15.0, lifetime=0.25, mode="buffered", retry=1)
    assert b'"heartbeat":15,"lifetime":0.25,' in block


def test_hello_without_a_cursor_leaves_the_clients_own_alone() -> None:
    assert b"id:" not in sse.hello(None, ["c"], heartbeat=1, lifetime=1, mode="streaming", retry=1)


@given(
    st.sampled_from(GapReason), some.positions, st.none() | some.message_ids, st.none() | some.message_ids, some.seqs
)
def test_a_gap_tells_all_it_knows(
    reason: GapReason, resume: Position, oldest: Position | None, latest: Position | None, missed: int
) -> None:
    told = sse.gap_json("c", Gap(reason, resume, oldest, latest, missed))
    assert told == {
        "channel": "c",
        "reason": reason.value,
        "missed": missed,
        "oldest": oldest and str(oldest),
        "latest": latest and str(latest),
    }
    (event,) = by_the_standard(sse.block("gap", told, cursor=[resume]))
    assert (event.id, event.event, json.loads(event.data)) == (str(resume), "gap", told)


@pytest.mark.parametrize("reason", End)
@every_reader
def test_an_end_moves_nobodys_position(read: Callable[[bytes], list[Event]], reason: End) -> None:
    (event,) = later(read, sse.end(reason, retry=5000))
    assert event == ("before", "end", json.dumps({"reason": reason.value}, separators=(",", ":")))


@every_reader
def test_a_heartbeat_is_no_event_wherever_it_falls(read: Callable[[bytes], list[Event]]) -> None:
    frame = Frame("c", Entry(Position("t9x2k0ab", 1, "7qd1"), "0", 0, some.body("x")))
    assert later(read, HEARTBEAT * 2 + frame.block + HEARTBEAT + frame.block + HEARTBEAT) == read(frame.block * 2)


@given(some.json_values)
@example("\x85\u2028\u2029")
def test_data_of_our_own_is_one_line_to_everybody(data: Any) -> None:
    block = sse.block("signal", data)
    assert len(block.decode().splitlines()) == 3
    assert json.loads(by_splitlines(block)[0].data) == data


# --- time


@given(st.integers(0, 253_402_300_799_999))
@example(1_767_225_600_000)
@example(999)
def test_a_timestamp_is_rfc_3339_to_the_millisecond(milliseconds: int) -> None:
    text = frames.timestamp(milliseconds)
    assert re.fullmatch(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{3}Z", text)
    read = datetime.fromisoformat(text)
    assert read.replace(microsecond=0) == datetime.fromtimestamp(milliseconds // 1000, UTC)
    assert read.microsecond == milliseconds % 1000 * 1000


@given(one=sent())
def test_a_frame_knows_where_it_stands(one: Sent) -> None:
    assert one.frame.position == one.frame.entry.position
    assert Frame(one.channel, replace(one.frame.entry, prev="zzzz")).block == one.frame.block


@given(
    sizes=st.lists(st.integers(0, 300), max_size=12),
    messages=st.integers(1, 15),
    size=st.integers(0, 2_000),
)
def test_what_fits_is_as_much_as_can_be_but_one(sizes: list[int], messages: int, size: int) -> None:
    """From either end: no more messages than there is room for, no more bytes unless it is a single message."""
    held = [
        Frame("c", Entry(Position("e2", seq, "m"), "m", 0, some.body("x" * length)))
        for seq, length in enumerate(sizes, 1)
    ]
    room = Room(messages, size)
    for chosen, rest in (
        (first := first_that_fit(held, room), held[len(first) :]),
        (last := last_that_fit(held, room), held[: len(held) - len(last)][::-1]),
    ):
        taken = sum(frame.size for frame in chosen)
        assert len(chosen) <= messages
        assert taken <= size or len(chosen) == 1
        assert bool(chosen) == bool(held)
        assert not rest or len(chosen) == messages or taken + rest[0].size > size
    assert [*first, *held[len(first) :]] == held == [*held[: len(held) - len(last)], *last]


@pytest.mark.parametrize("name", ["live", "beat"])
def test_a_stored_message_of_a_name_that_was_free_once_is_sent_as_a_message(name: str) -> None:
    """docs/protocol.md, 2.1: `live` and `beat` became the service's own. What was stored before can't imitate them."""
    body = f'{{"event":"{name}","user":null,"data":1,"localId":null}}'.encode()
    frame = Frame("c", Entry(Position("t9x2k0ab", 1, "7qd1"), "0", 0, body))
    [event] = by_the_standard(frame.block)
    assert event.event == "message"
    assert json.loads(event.data)["event"] == name
