"""Signals: what is told to those who read now, and never stored. Pure. (docs/protocol.md, section 9)

A notice that begins with `!` tells something beside the messages. It never makes a log be read. One of a kind that is
not known here is ignored without a word, so that older and newer instances serve side by side.
"""

from __future__ import annotations

import re
from typing import NamedTuple

from gapless.log.publication import Rate

ASIDE = b"!"
"""Opens every notice that tells of no messages."""
MOST_BYTES = 8192
"""What a signal has at most, as it is sent."""

_SIGNAL = re.compile(rb"!s ([0-9a-z]{12}) (\{[^\r\n]*\})")


class Signal(NamedTuple):
    """One signal. `line`: one line of JSON, which is what readers get. `nonce`: 12 random base-36 digits.

    `now`: milliseconds since 1970, for the rate, in which a signal counts one.
    """

    channel: str
    nonce: str
    line: bytes
    now: int
    rate: Rate | None = None

    @property
    def notice(self) -> bytes:
        """What the store tells the listeners of the channel."""
        return b"!s %b %b" % (self.nonce.encode(), self.line)


def parse_signal(notice: bytes) -> tuple[bytes, bytes] | None:
    """The nonce and the line of a signal, None where the notice tells of something else, or of nothing of ours."""
    found = _SIGNAL.fullmatch(notice)
    return None if found is None or len(found[2]) > MOST_BYTES else (found[1], found[2])
