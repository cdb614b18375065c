"""What hypothesis draws: places, JSON and texts that would like to be more than text."""

from __future__ import annotations

import json
from typing import Any

from hypothesis import strategies as st

from gapless.log.cursor import Position
from gapless.log.entries import Entry

DIGITS = "0123456789abcdefghijklmnopqrstuvwxyz"

LINE_ENDS = "\n\r\x0b\x0c\x1c\x1d\x1e\x85\u2028\u2029"
"""All that `str.splitlines` splits at; of these, a stream's own line ends are the first two."""

_FORGERIES = (
    "\n\ndata: forged\n\n",
    "\r\rid: 9\r\r",
    "\nevent: gap",
    "\x85id: forged\x85\x85",
    "\u2028\u2028data: forged\u2028\u2028",
    "\x1eretry: 0\x1e",
    '","id":"forged',
    '"}\n\n',
    "\\",
    '\\"',
    "\t",
    "?",
    "\0",
)

epochs = st.text(DIGITS, min_size=8, max_size=8)
marks = st.text(DIGITS, min_size=4, max_size=4)
seqs = st.integers(1, 10**15 - 1)
message_ids = st.builds(Position, epochs, seqs, marks)
starts = st.builds(Position, epochs, st.just(0), st.just("0"))
nowheres = st.builds(Position, st.text(DIGITS, min_size=6, max_size=6), st.just(0), st.just("0"))
positions = message_ids | starts | nowheres
cursors = st.lists(positions, min_size=1, max_size=16).map(tuple)

channels = st.from_regex(r"[A-Za-z0-9][A-Za-z0-9_.:-]{0,63}", fullmatch=True)
events = st.just("message") | st.from_regex(r"x[A-Za-z0-9_.:-]{0,63}", fullmatch=True)

_characters = st.characters(codec="utf-8") | st.sampled_from(LINE_ENDS)
texts = st.text(_characters, max_size=30) | st.lists(
    st.sampled_from(_FORGERIES) | st.text(_characters, max_size=5), max_size=5
).map("".join)
"""Any text that UTF-8 can write, line ends and forged fields more often than chance would have them."""

_names = st.text(
    st.characters(codec="utf-8", exclude_categories=["Cc"]) | st.sampled_from("\x85\u2028\u2029"),
    min_size=1,
    max_size=128,
)
users = st.none() | _names
local_ids = st.none() | _names

numbers = st.integers(-(2**70), 2**70) | st.floats(allow_nan=False, allow_infinity=False)
json_values: st.SearchStrategy[Any] = st.recursive(
    st.none() | st.booleans() | numbers | texts,
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(texts, inner, max_size=4),
    max_leaves=10,
)


def body(data: Any = 1) -> bytes:
    """What the log keeps of a message."""
    return json.dumps({"event": "message", "user": None, "data": data, "localId": None}, separators=(",", ":")).encode()


@st.composite
def chains(draw: st.DrawFn, most: int = 12) -> list[Entry]:
    """A log of its own: entries that follow one another, from any number on."""
    before = draw(starts | message_ids)
    entries: list[Entry] = []
    for mark in draw(st.lists(marks, max_size=most, unique=True)):
        if before.seq == 10**15 - 1:
            break
        entries.append(Entry(Position(before.epoch, before.seq + 1, mark), before.mark, 1, body(len(entries))))
        before = entries[-1].position
    return entries
