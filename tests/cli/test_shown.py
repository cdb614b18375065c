"""What comes is shown as it came, and steers no terminal."""

from __future__ import annotations

import json
import time
from typing import TYPE_CHECKING

import pytest

from gapless.cli.following import Event
from gapless.cli.shown import as_json, as_text

if TYPE_CHECKING:
    from collections.abc import Iterator

MESSAGE = (
    '{"id":"e-1-m","channel":"a","event":"message","user":%s,"data":%s,"localId":null,'
    '"timestamp":"2026-11-27T12:30:00.5Z"}'
)
GAP = Event("gap", '{"channel":"a","reason":"trimmed","missed":7,"oldest":null,"latest":null}', "e-7-m")


@pytest.fixture(autouse=True)
def _in_london(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    monkeypatch.setenv("TZ", "UTC0")
    time.tzset()
    yield
    monkeypatch.undo()
    time.tzset()


def message(data: str, user: str = "null") -> Event:
    return Event("message", MESSAGE % (user, data))


def test_a_message_is_a_line() -> None:
    assert as_text(message('"hi"', '"ann"')) == "12:30:00 a ann: hi"
    assert as_text(message('{"n":[1]}')) == '12:30:00 a -: {"n": [1]}'
    note = Event("note", MESSAGE.replace('"event":"message"', '"event":"note"') % ("null", "1"))
    assert as_text(note) == "12:30:00 a - (note): 1"


def test_no_message_steers_a_terminal() -> None:
    evil = message('"a\\u001b[2Jb\x9b2J\u202ec\\n"')
    text, line = as_text(evil), as_json(evil)
    assert text is not None and text.isprintable() and text.endswith(r"a\u001b[2Jb\u009b2J\u202ec\n")
    assert line is not None and line.isprintable()
    assert json.loads(line) == evil.read()


def test_json_is_what_came() -> None:
    assert as_json(message("1e15")) == MESSAGE % ("null", "1e15")
    assert as_json(message('"é 猫"')) == MESSAGE % ("null", '"é 猫"')


def test_gaps_and_ends_are_shown_and_other_events_are_not() -> None:
    assert as_text(GAP) == "-- gap in a: 7 messages are no longer kept"
    assert json.loads(as_json(GAP) or "") == {"event": "gap", **GAP.read()}
    end = Event("end", '{"reason":"deadline"}')
    assert as_text(end) == "-- the stream has ended: deadline"
    assert as_json(end) == '{"event": "end", "reason": "deadline"}'
    assert as_text(Event("hello", "{}")) is as_json(Event("hello", "{}")) is None
