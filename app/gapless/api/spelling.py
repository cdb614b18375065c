"""Keeps numbers as their publisher wrote them. Pure.

A number that is read as a double and written again changes: `1e15` becomes 1000000000000000.0, and `0.10` becomes 0.1.
That is longer than what was sent, or not what was meant. So if a body may hold such numbers, `data` is stored as it was
written, without white space.

A body may hold sixty thousand numbers, texts or names, and everybody else waits while it is read. So nothing here calls
or loops in Python for each of them.
"""

from __future__ import annotations

import json
import math
import re
from collections.abc import Iterator

from gapless.log.errors import Unprocessable

MOST_MEMBERS = 16
"""Members of an object that is sent, such as a message. None has as many, and each is dear to refuse."""
TOO_MANY = f"An object that is sent here has at most {MOST_MEMBERS} members, each once."

# All digits are alike: so `in` finds a number's shape, in a tenth of the time that a pattern takes.
_SHAPE = bytes.maketrans(b"123456789E", b"000000000e")
_TEXT = re.compile(rb'"[^"\\]*+(?:\\.[^"\\]*+)*+"')
_DENSE = re.compile(rb'(?:[^" \t\r\n]++|%b)++' % _TEXT.pattern)
_NUMBER = re.compile(rb"[0-9][0-9.e+-]*+", re.IGNORECASE)
_BETWEEN = re.compile(r"[ \t\r\n,:]*")
# Tells where a value ends: what its numbers are worth does not matter, so the cheapest there is reads them.
_decoder = json.JSONDecoder(parse_float=len, parse_int=len)


def data_as_written(raw: bytes) -> list[bytes] | None:
    """The `data` of each message of a body that has been read and is well-formed: one line of JSON each, or b"".

    None where no number can be written in another way. Raises Unprocessable for one that no double holds: what reads
    it as JavaScript does would have an infinity.
    """
    shape = raw.translate(_SHAPE)
    if not (_may_change(shape) or b"-0" in raw):
        return None
    text = raw.decode()
    at = _after(text, 0)
    each = [_data(text, at)[0]] if text[at] == "{" else _each(text, at)
    lines = [b"".join(_DENSE.findall(data.encode())) for data in each]
    if _may_be_vast(shape):
        _must_be_finite(lines)
    return lines


def _may_change(shape: bytes) -> bool:
    """Whether there is a fraction, an exponent, or more digits than a double has before its point."""
    return b"0." in shape or b"0e" in shape or b"0" * 309 in shape


def _may_be_vast(shape: bytes) -> bool:
    """No number is too large for a double with fewer digits in a row, and an exponent of fewer."""
    return b"e000" in shape or b"e+000" in shape or b"0" * 200 in shape


def _must_be_finite(lines: list[bytes]) -> None:
    numbers = _NUMBER.findall(_TEXT.sub(b"", b",".join(lines)))
    if any(map(math.isinf, map(float, numbers))):
        raise Unprocessable("data: a number is too large; send it as a string.")


def _each(text: str, at: int) -> Iterator[str]:
    """The `data` of each message of an array that begins `at`."""
    at = _after(text, at + 1)
    while text[at] != "]":
        data, at = _data(text, at)
        yield data
        at = _after(text, at)


def _data(text: str, at: int) -> tuple[str, int]:
    """The last `data` of the object that begins `at`, as all who read JSON take the last; and where the object ends."""
    data, at = "", _after(text, at + 1)
    for _ in range(MOST_MEMBERS):
        if text[at] == "}":
            return data, at + 1
        name, at = _decoder.raw_decode(text, at)
        begins = _after(text, at)
        _, at = _decoder.raw_decode(text, begins)
        if name == "data":
            data = text[begins:at]
        at = _after(text, at)
    if text[at] == "}":
        return data, at + 1
    raise Unprocessable(TOO_MANY)


def _after(text: str, at: int) -> int:
    """Where the next value, name or bracket begins."""
    found = _BETWEEN.match(text, at)
    return found.end() if found else at
