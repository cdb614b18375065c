"""Entries and notices: what the script writes is read as it was meant; whatever else lies there is refused."""

from __future__ import annotations

import json
from dataclasses import replace
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from gapless.api.schemas import Message
from gapless.channels.frames import Frame
from gapless.log.cursor import Position
from gapless.log.entries import BATCH_SEPARATOR, HINT, Entry, format_entry, parse_entry, parse_notice
from gapless.log.errors import CorruptLog
from tests.testkit import strategies as some

PLACE = Position("t9x2k0ab", 42, "7qd1")
BODY = b'{"event":"message","user":null,"data":1,"localId":null}'
ENTRY = Entry(PLACE, "m4ez", 1_767_225_600_000, BODY)

times = st.integers(0, 10**13)
previous = some.marks | st.just("0")


@st.composite
def entries(draw: st.DrawFn) -> Entry:
    message = Message(data=draw(some.json_values), event=draw(some.events), localId=draw(some.local_ids))
    body, start = message.draft(draw(some.users)).body, draw(st.none() | st.integers(0, 10**16 - 1))
    return Entry(draw(some.message_ids), draw(previous), draw(times), body, start)


@given(entries())
def test_an_entry_is_read_as_it_was_written(entry: Entry) -> None:
    read = parse_entry(format_entry(entry))
    assert (read, read.start) == (entry, entry.start)


@given(st.lists(entries(), min_size=1, max_size=8))
def test_a_notice_holds_the_entries_it_was_made_of(several: list[Entry]) -> None:
    assert parse_notice(BATCH_SEPARATOR.join(map(format_entry, several))) == several


@given(some.message_ids)
def test_a_notice_without_entries_names_the_newest_position(position: Position) -> None:
    assert parse_notice(HINT + " ".join(map(str, position)).encode()) == position


@given(st.binary(max_size=60) | some.texts.map(str.encode))
def test_foreign_bytes_are_refused_and_never_break_anything(raw: bytes) -> None:
    for parse in (parse_entry, parse_notice):
        with pytest.raises(CorruptLog):
            parse(raw)


@given(entries(), st.data())
def test_an_entry_that_was_tampered_with_is_refused_or_whole(entry: Entry, data: st.DataObject) -> None:
    raw = bytearray(format_entry(entry))
    at = data.draw(st.integers(0, len(raw) - 1))
    raw[at : at + data.draw(st.integers(0, 3))] = data.draw(st.binary(max_size=4))
    try:
        read = parse_entry(bytes(raw))
    except CorruptLog:
        return
    assert format_entry(read) == raw
    frame = Frame("c", read)
    assert frame.block.count(b"\n\n") == 1
    assert b"\r" not in frame.block


@pytest.mark.parametrize(
    "parts",
    [
        {"epoch": b"t9x2k0a"},
        {"epoch": b"T9X2K0AB"},
        {"epoch": b"t9x2\nid:"},
        {"epoch": "t9x2k0é".encode()},
        {"seq": b"0"},
        {"seq": b"-1"},
        {"seq": b"+1"},
        {"seq": b"1_0"},
        {"seq": b"01"},
        {"seq": "٤٢".encode()},
        {"seq": b"1e3"},
        {"seq": b"9" * 16},
        {"mark": b"7qd"},
        {"mark": b"7q\n1"},
        {"mark": b"0"},
        {"prev": b""},
        {"prev": b"m4e"},
        {"time": b""},
        {"time": b"-1"},
        {"time": b"9" * 20},
        {"start": b"-1"},
        {"start": b"01"},
        {"start": b"9" * 17},
        {"start": b"1 2"},
        {"body": b""},
        {"body": b"[]"},
        {"body": b'{"user":null}'},
        {"body": b'{"event":"a\nid: 1"}'},
        {"body": b'{"event":"message","data":1\n}'},
        {"body": b'{"event":"message","data":1\r}'},
        {"body": b'{"event":"message","data":1'},
        {"body": b'{"event":""}'},
        {"body": b'{"event":"message'},
    ],
)
def test_no_entry_of_ours(parts: dict[str, bytes]) -> None:
    whole = {"epoch": b"t9x2k0ab", "seq": b"42", "mark": b"7qd1", "prev": b"m4ez", "time": b"1767225600000"}
    for start in ({}, {"start": b"0"}, {"start": b"12345"}):  # older versions wrote none
        assert parse_entry(b" ".join([*(whole | start).values(), BODY])) == ENTRY
    whole |= {"start": b"12345", "body": BODY}
    with pytest.raises(CorruptLog):
        parse_entry(b" ".join((whole | parts).values()))


@pytest.mark.parametrize(
    "payload",
    [b"", b"?", b"??", b"?t9x2k0ab 42", b"?t9x2k0ab 0 0", b"?t9x2k0ab 42 7qd1 m4ez", b"\t", b"?t9x2\nid: 42 7qd1"],
)
def test_no_notice_of_ours(payload: bytes) -> None:
    with pytest.raises(CorruptLog):
        parse_notice(payload)


def test_one_foreign_entry_spoils_its_notice() -> None:
    with pytest.raises(CorruptLog):
        parse_notice(format_entry(ENTRY) + BATCH_SEPARATOR + b"hello")


@given(some.json_values, some.texts)
def test_nothing_in_a_message_can_end_an_entry_or_a_notice(data: Any, key: str) -> None:
    raw = Message(data={key: data}).draft(None).body
    assert not set(raw) & set(range(0x20))
    assert json.loads(raw)["data"] == {key: data}


def test_an_entry_follows_only_the_message_whose_mark_it_names() -> None:
    head = Position("t9x2k0ab", 41, "m4ez")
    assert ENTRY.before == head
    assert ENTRY.follows(head)
    assert not ENTRY.follows(head._replace(mark="m4e0"))
    assert not ENTRY.follows(head._replace(seq=40))
    assert not ENTRY.follows(head._replace(epoch="t9x2k0ac"))
    assert not ENTRY.follows(ENTRY.position)


def test_the_first_entry_follows_its_epochs_start() -> None:
    first = replace(ENTRY, position=PLACE._replace(seq=1), prev="0")
    assert first.follows(Position("t9x2k0ab", 0, "0"))
    assert not first.follows(Position("t9x2k0", 0, "0"))
