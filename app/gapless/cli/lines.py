"""Standard input as lines and as messages, without holding more of it than a piece and a line. Pure."""

from __future__ import annotations

import json
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Any, NoReturn

from gapless.cli.failure import Failed

MOST_LINE = 4_194_304
"""Bytes of a line: what a service can be set to take at most."""
MOST_MESSAGES, MOST_BYTES = 100, 98_304
"""Messages of a batch (docs/protocol.md, 2.1), and their bytes, below the service's default GAPLESS_MAX_BODY."""


class Lines:
    """Makes lines of pieces of bytes. `feed` returns those that are complete, `rest` the last one, which has no end."""

    def __init__(self, most: int = MOST_LINE) -> None:
        self._most = most
        self._pieces: list[bytes] = []
        self._held = 0
        self._number = 0

    def feed(self, piece: bytes) -> list[str]:
        """The lines that this piece completes, in order, without their ends. Raises Failed for what is no text."""
        *ends, rest = piece.split(b"\n")
        found = [self._line(end) for end in ends]
        self._hold(rest)
        return found

    def rest(self) -> list[str]:
        """What is left at the end of the input."""
        return [self._line(b"")] if self._held else []

    def _line(self, end: bytes) -> str:
        self._hold(end)
        line = b"".join(self._pieces)
        self._pieces, self._held, self._number = [], 0, self._number + 1
        try:
            return line.removesuffix(b"\r").decode()
        except UnicodeDecodeError:
            raise Failed(f"line {self._number} is no UTF-8 text.", 2) from None

    def _hold(self, piece: bytes) -> None:
        self._held += len(piece)
        if self._held > self._most:
            raise Failed(f"line {self._number + 1} is longer than {self._most} bytes.", 2)
        self._pieces.append(piece)


@dataclass(frozen=True, slots=True)
class Form:
    """How a line becomes a message. `key`: opens each `localId`. `as_json`: a line is JSON, else a text."""

    key: str
    as_json: bool = False
    event: str | None = None
    user: str | None = None

    def message(self, number: int, line: str) -> bytes:
        """The message of line `number` as it is sent. Numbers stay as they were written."""
        data = _checked(number, line) if self.as_json else json.dumps(line, ensure_ascii=False)
        named = {"event": self.event, "user": self.user, "localId": f"{self.key}-{number}"}
        rest = json.dumps({name: value for name, value in named.items() if value is not None}, ensure_ascii=False)
        return f'{{"data":{data},{rest[1:]}'.encode()

    def messages(self, first: int, lines: Sequence[str]) -> list[bytes]:
        """Those of the lines from number `first` on. Of JSON, empty lines are no messages."""
        numbered = enumerate(lines, first)
        return [self.message(number, line) for number, line in numbered if line.strip() or not self.as_json]


def _checked(number: int, line: str) -> str:
    try:
        json.loads(line, parse_constant=_refuse, parse_int=str, parse_float=str)
    except (ValueError, RecursionError) as error:
        raise Failed(f"line {number} is no JSON value: {error}.", 2) from None
    return line.strip()


def _refuse(constant: str) -> NoReturn:
    raise ValueError(f"{constant} is none")


def batches(messages: Sequence[Any]) -> Iterator[Sequence[Any]]:
    """Cut into parts that are sent together."""
    start = size = 0
    for at, message in enumerate(messages):
        size += len(message) + 1
        if at > start and (at - start == MOST_MESSAGES or size > MOST_BYTES):
            yield messages[start:at]
            start, size = at, len(message) + 1
    if start < len(messages):
        yield messages[start:]
