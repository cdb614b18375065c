"""A stream that is held back, compressed or refused is told apart from a good one and from turns."""

from __future__ import annotations

from typing import Any

import pytest

from gapless.cli.doctor.checks.streaming import Seen, judge
from gapless.cli.doctor.finding import State

GOOD: dict[str, Any] = {
    "status": 200,
    "kind": "text/event-stream; charset=utf-8",
    "hello": {"mode": "streaming"},
    "hello_after": 0.01,
    "message_after": 0.02,
}


def told(**seen: Any) -> dict[str, tuple[State, str]]:
    return {one.check: (one.state, f"{one.said} -> {one.change}") for one in judge(Seen(**{**GOOD, **seen}))}


def test_a_good_one_streams_and_is_not_compressed() -> None:
    assert {name: state for name, (state, _) in told().items()} == {"stream": State.OK, "compression": State.OK}
    assert "hello after 10 ms, a message 20 ms" in told()["stream"][1]


def test_turns_are_good_without_a_message() -> None:
    turns = told(hello={"mode": "buffered"}, message_after=None)
    assert turns["stream"][0] is State.OK and "in turns" in turns["stream"][1]


@pytest.mark.parametrize(
    ("seen", "words"),
    [
        ({"hello": None, "message_after": None, "waited": 6.0}, "in 6 s came no event. -> Switch buffering"),
        ({"message_after": None}, "a hello, but no message. -> Switch buffering"),
        ({"status": 0, "kind": "", "hello": None, "message_after": None}, "came no event"),
        ({"status": 502, "kind": "text/html", "hello": None}, "answered with 502 text/html."),
        ({"status": 200, "kind": "text/html", "hello": None}, "answered with 200 text/html"),
        ({"status": 0, "kind": "", "hello": None, "said": "reset"}, "answered with nothing: reset."),
        ({"ended": "unavailable", "hello": None}, "ends the stream at once (unavailable)"),
        ({"ended": "busy", "hello": None}, "GAPLESS_STREAMS"),
    ],
)
def test_what_is_wrong_is_named(seen: dict[str, Any], words: str) -> None:
    ((name, (state, said)),) = told(**seen).items()
    assert (name, state) == ("stream", State.FAIL) and words in said


def test_compression_is_named_also_where_it_holds_nothing_back_now() -> None:
    found = told(encoding="gzip")
    assert found["compression"][0] is State.FAIL and "gzip_types" in found["compression"][1]
    assert found["stream"][0] is State.OK
    assert told(encoding="gzip", message_after=None).keys() == {"compression"}
