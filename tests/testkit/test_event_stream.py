"""The parser of event streams, on the corner cases of the standard."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tests.testkit.event_stream import Event, EventStreamParser


def parse(*pieces: bytes, last: str = "") -> list[tuple[str, str, str]]:
    parser = EventStreamParser(last)
    return [(e.type, e.data, e.last_event_id) for piece in pieces for e in parser.feed(piece)]


@pytest.mark.parametrize(
    ("stream", "events"),
    [
        (b"data: a\n\n", [("message", "a", "")]),
        (b"data: a\r\rdata: b\r\n\r\ndata: c\n\n", [("message", x, "") for x in "abc"]),
        (b"data: a\n\r\n", [("message", "a", "")]),
        (b"data: a\ndata: b\n\n", [("message", "a\nb", "")]),
        (b"data: a\r\ndata: b\r\n\r\n", [("message", "a\nb", "")]),
        (b"data\n\n", [("message", "", "")]),
        (b"data\ndata\n\n", [("message", "\n", "")]),
        (b"data:\n\n", [("message", "", "")]),
        (b"data:  a\n\n", [("message", " a", "")]),
        (b"data:a:b\n\n", [("message", "a:b", "")]),
        (b"\xef\xbb\xbfdata: a\n\n", [("message", "a", "")]),
        (b"\xef\xbb\xbf\xef\xbb\xbfdata: a\n\ndata: b\n\n", [("message", "b", "")]),
        (b"data: a\n\n\xef\xbb\xbfdata: b\n\n", [("message", "a", "")]),
        (b": comment\ndata: a\n:\n\n", [("message", "a", "")]),
        (b"event: x\ndata: a\n\ndata: b\n\n", [("x", "a", ""), ("message", "b", "")]),
        (b"event: x\n\ndata: b\n\n", [("message", "b", "")]),
        (b"event: x\nevent\ndata: b\n\n", [("message", "b", "")]),
        (b"id: 1\ndata: a\n\ndata: b\n\n", [("message", "a", "1"), ("message", "b", "1")]),
        (b"id: 1\n\ndata: b\n\n", [("message", "b", "1")]),
        (b"id: 1\ndata: a\n\nid\ndata: b\n\n", [("message", "a", "1"), ("message", "b", "")]),
        (b"id: 1\ndata: a\n\nid: 2\0\ndata: b\n\n", [("message", "a", "1"), ("message", "b", "1")]),
        (b"ID: 1\nData: x\ndata : y\n data: z\ndata: a\n\n", [("message", "a", "")]),
        (b"data: \xc3\xa9 \xff \xe2\x82\n\n", [("message", "é \ufffd \ufffd", "")]),
        (b"data: a\x0bb\x85c\xe2\x80\xa8d\n\n", [("message", "a\x0bb\ufffdc\u2028d", "")]),
        (b"data: a\n", []),
        (b"data: a", []),
        (b"\n\n\n", []),
        (b"", []),
    ],
)
def test_corner_cases(stream: bytes, events: list[tuple[str, str, str]]) -> None:
    assert parse(stream) == events
    assert parse(*(bytes([byte]) for byte in stream)) == events


def test_a_block_cut_off_before_its_blank_line_is_dropped_with_its_id() -> None:
    parser = EventStreamParser("0")
    assert [e.data for e in parser.feed(b"id: 1\ndata: a\n\nid: 2\ndata: b\n")] == ["a"]
    assert parser.last_event_id == "1"
    assert [e.last_event_id for e in parser.feed(b"\n")] == ["2"]
    assert parser.last_event_id == "2"


def test_an_event_that_is_not_taken_has_not_happened() -> None:
    parser = EventStreamParser()
    events = parser.feed(b"id: 1\ndata: a\n\nid: 2\ndata: b\n\n")
    assert next(events) == Event("message", "a", "1", True)
    assert parser.last_event_id == "1"


def test_the_id_outlives_the_connection_and_blocks_without_one() -> None:
    events = EventStreamParser("7").feed(b"event: end\ndata: {}\n\nid: 8\ndata: a\n\ndata: b\n\n")
    assert list(events) == [
        Event("end", "{}", "7", False),
        Event("message", "a", "8", True),
        Event("message", "b", "8", False),
    ]


@pytest.mark.parametrize(
    ("line", "retry"),
    [
        (b"retry: 700", 700),
        (b"retry:0", 0),
        (b"retry: 7.5", None),
        (b"retry: -1", None),
        (b"retry: 7x", None),
        (b"retry", None),
        ("retry: ٣".encode(), None),
    ],
)
def test_retry_is_digits_alone_and_counts_at_once(line: bytes, retry: int | None) -> None:
    parser = EventStreamParser()
    assert not list(parser.feed(line + b"\n"))
    assert parser.retry == retry


def test_comments_are_counted() -> None:
    parser = EventStreamParser()
    assert not list(parser.feed(b":\n:\r\n: x\n"))
    assert parser.comments == 3


lines = st.sampled_from(
    [
        b"data: a",
        b"data",
        b"id: 1",
        b"id",
        b"id: \xc3\xa9",
        b"event: x",
        b":",
        b"",
        b"",
        b"retry: 5",
        b"\xef\xbb\xbfdata: q",
    ]
)


@given(st.lists(st.tuples(lines, st.sampled_from([b"\n", b"\r", b"\r\n"]))), st.data())
def test_how_the_bytes_are_cut_does_not_matter(parts: list[tuple[bytes, bytes]], data: st.DataObject) -> None:
    stream = b"".join(line + end for line, end in parts)
    cuts = sorted(data.draw(st.lists(st.integers(0, len(stream)), max_size=8)))
    pieces = [stream[a:b] for a, b in zip([0, *cuts], [*cuts, len(stream)], strict=True)]
    whole, cut = EventStreamParser("0"), EventStreamParser("0")
    assert [e for piece in pieces for e in cut.feed(piece)] == list(whole.feed(stream))
    assert (cut.last_event_id, cut.retry, cut.comments) == (whole.last_event_id, whole.retry, whole.comments)


@given(st.lists(st.tuples(lines, st.sampled_from([b"\n", b"\r", b"\r\n"]))))
def test_against_a_plain_reading_of_the_whole_text(parts: list[tuple[bytes, bytes]]) -> None:
    stream = b"".join(line + end for line, end in parts)
    text = stream.decode("utf-8-sig", "replace").replace("\r\n", "\n").replace("\r", "\n")
    expected, last = [], ""
    for block in text.split("\n\n")[:-1]:
        rows = [row.partition(":") for row in block.split("\n")]
        fields = [(name, value.removeprefix(" ")) for name, _, value in rows]
        last = ([last] + [value for name, value in fields if name == "id"])[-1]
        if datas := [value for name, value in fields if name == "data"]:
            kind = (["message"] + [value for name, value in fields if name == "event"])[-1]
            expected.append((kind, "\n".join(datas), last))
    assert parse(stream) == expected
