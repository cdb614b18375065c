"""A stream's lines become events, and its comments are seen."""

from __future__ import annotations

from gapless.cli.doctor.blocks import COMMENT, Blocks
from gapless.cli.following import Event


def read(*lines: str) -> list[Event]:
    blocks = Blocks()
    return [event for event in map(blocks.feed, lines) if event is not None]


def test_events_and_comments() -> None:
    assert read("retry: 700", "id: a", "event: hello", "data: {", "data:}", "", ":", "data: 1", "") == [
        Event("hello", "{\n}", "a"),
        COMMENT,
        Event("message", "1"),
    ]


def test_a_block_without_data_or_end_is_none() -> None:
    assert read("id: a", "", "event: end", "data: 1") == []
