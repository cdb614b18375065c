"""Keeps numbers as their publisher wrote them. Pure.

A number that is read as a double and written again changes: `1e15` becomes 1000000000000000.0, and `0.10` becomes 0.1.
That is longer than what was sent, or not what was meant. So if a body may hold such numbers, `data` is stored as it was
written, without white space and without escapes that are not needed.
"""

from __future__ import annotations

import json
import math
import re
from collections.abc import Iterator

from pydantic_core import from_json, to_json

from gapless.log.errors import Unprocessable

# What may be written otherwise once it was read: fractions, exponents, minus zero. And what may be too large to read.
# Each way begins with a sign or digit, so that texts are passed over; a run of digits is counted from its first one.
_UNUSUAL = re.compile(rb"[-0-9](?:[.eE](?<=[0-9].)|0(?<=-.)|[0-9](?<![0-9]..)(?<!-.)[0-9]{307})", re.DOTALL)
_TOKEN = re.compile(rb'"[^"\\]*+(?:\\.[^"\\]*+)*+"|[^" \t\r\n]++')
_BETWEEN = re.compile(r"[ \t\r\n,:]*")


def data_as_written(raw: bytes) -> list[bytes] | None:
    """The `data` of each message of a body that has been read and is well-formed: one line of JSON each, or b"".

    None where no number can be written in another way. Raises Unprocessable for one that no double holds: what reads
    it as JavaScript does would have an infinity.
    """
    if _UNUSUAL.search(raw) is None:
        return None
    text = raw.decode()
    at = _after(text, 0)
    if text[at] == "{":
        return [_line(_data(text, at)[0])]
    return [_line(data) for data in _each(text, at)]


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
    while text[at] != "}":
        name, at = _decoder.raw_decode(text, at)
        begins = _after(text, at)
        _, at = _decoder.raw_decode(text, begins)
        if name == "data":
            data = text[begins:at]
        at = _after(text, at)
    return data, at + 1


def _after(text: str, at: int) -> int:
    """Where the next value, name or bracket begins."""
    found = _BETWEEN.match(text, at)
    return found.end() if found else at


def _line(data: str) -> bytes:
    """Without white space between, and with each text as short as it can be written: only numbers stay as they are."""
    tokens: list[bytes] = _TOKEN.findall(data.encode())
    return b"".join([to_json(from_json(token)) if b"\\" in token else token for token in tokens])


def _finite(digits: str) -> float:
    if math.isinf(number := float(digits)):
        raise Unprocessable("data: a number is too large; send it as a string.")
    return number


_decoder = json.JSONDecoder(parse_float=_finite, parse_int=_finite)
