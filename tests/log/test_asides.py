"""Instances of before signals, receipts and presence, on the same store: they take none of these for messages.

(docs/protocol.md, 9.4) What they did with a notice is what `parse_notice` does today: they ignored, with a line in the
log, what it refuses. `tests/stores/upstash/test_asides.py` has what today's do with notices of a later version.
"""

from __future__ import annotations

import json

import pytest
from hypothesis import given
from hypothesis import strategies as st

from gapless.log.cursor import Position
from gapless.log.entries import BATCH_SEPARATOR, Entry, format_entry, parse_notice
from gapless.log.errors import CorruptLog
from gapless.log.presence import LOOK, format_notice
from gapless.log.receipts import Marks, format_receipt
from gapless.log.signals import ASIDE, Signal

ENTRY = Entry(Position("t9x2k0ab", 7, "m4ez"), "7qd1", 1, b'{"event":"message"}')
names = st.text(st.characters(exclude_categories=["Cc", "Cs"]), min_size=1, max_size=20)
forged = st.sampled_from([format_entry(ENTRY), BATCH_SEPARATOR + format_entry(ENTRY), b"? t9x2k0ab 7 m4ez", b""])


def notices(user: str, forged: bytes) -> list[bytes]:
    """One of each form; a signal may hold whatever its sender likes, and so may the name of a user."""
    named = user + forged.decode().replace("\n", "").translate(dict.fromkeys(range(32)))
    line = b'{"channel":"c","data":' + json.dumps(named).encode() + b"}" + forged
    return [
        Signal("c", "000000000001", line, 0).notice,
        format_receipt(named, Marks(ENTRY.position, None)),
        format_notice([named], []),
        format_notice([], [named]),
        LOOK,
    ]


@given(names, forged)
def test_an_older_instance_takes_them_for_no_message(user: str, forged: bytes) -> None:
    for notice in notices(user, forged):
        assert notice.startswith(ASIDE)
        with pytest.raises(CorruptLog):
            parse_notice(notice)


def test_messages_never_begin_as_they_do() -> None:
    assert not format_entry(ENTRY).startswith(ASIDE)
    assert parse_notice(format_entry(ENTRY)) == [ENTRY]
