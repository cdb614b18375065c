"""The tests' own reading of `text/event-stream`, by the WHATWG standard (HTML, 9.2.6). Pure; nothing of the product.

Two deliberate points. The last event id outlives a reconnect, as it does in every browser: a parser is given the one
that its connection was opened with. And a block that is cut off before its blank line is dropped with its id.
"""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, NamedTuple

if TYPE_CHECKING:
    from collections.abc import Iterator

_LINE_END = re.compile(rb"\r\n?|\n")
_BOM = b"\xef\xbb\xbf"


class Event(NamedTuple):
    """A dispatched event. `has_id`: its own block had an `id` line; `last_event_id` may be an earlier block's."""

    type: str
    data: str
    last_event_id: str
    has_id: bool


class EventStreamParser:
    """Bytes in, in pieces of any size; events out. One parser for one connection."""

    def __init__(self, last_event_id: str = "") -> None:
        self.last_event_id = last_event_id
        """The last event id string: what a reconnect would send. Set with whole blocks only."""
        self.retry: int | None = None
        """The reconnection time in milliseconds, if this connection set one."""
        self.comments = 0
        self._id = last_event_id
        self._has_id = False
        self._type = ""
        self._data: list[str] = []
        self._rest = b""
        self._at_start = True
        self._after_cr = False

    def feed(self, piece: bytes) -> Iterator[Event]:
        """The events that this piece completes, lazily: what is not taken has not happened."""
        if self._at_start:
            piece, self._rest = self._rest + piece, b""
            if len(piece) < len(_BOM) and _BOM.startswith(piece):
                self._rest = piece
                return
            self._at_start = False
            piece = piece.removeprefix(_BOM)
        if self._after_cr and piece:
            # The CR at the end of the last piece has ended its line already.
            piece, self._after_cr = piece.removeprefix(b"\n"), False
        buffer, start = self._rest + piece, 0
        self._after_cr = self._after_cr or buffer.endswith(b"\r")
        for end in _LINE_END.finditer(buffer):
            line, start = buffer[start : end.start()], end.end()
            if (event := self._line(line.decode("utf-8", "replace"))) is not None:
                yield event
        self._rest = buffer[start:]

    def _line(self, line: str) -> Event | None:
        if not line:
            return self._dispatch()
        if line.startswith(":"):
            self.comments += 1
            return None
        name, _, value = line.partition(":")
        value = value.removeprefix(" ")
        if name == "data":
            self._data.append(value)
        elif name == "event":
            self._type = value
        elif name == "id" and "\0" not in value:
            self._id, self._has_id = value, True
        elif name == "retry" and value.isascii() and value.isdigit():
            self.retry = int(value)
        return None

    def _dispatch(self) -> Event | None:
        """A blank line: the id counts now, even where there is no data and so no event."""
        self.last_event_id = self._id
        data, kind, has_id = self._data, self._type or "message", self._has_id
        self._data, self._type, self._has_id = [], "", False
        return Event(kind, "\n".join(data), self.last_event_id, has_id) if data else None
