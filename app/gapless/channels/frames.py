"""Messages as server-sent events: bytes. Pure. (docs/protocol.md, section 3)

A live message is encoded once per process. What is read from the log to catch up is encoded once per read. No text can
forge a field or an event: everything that a publisher chose is inside one line of JSON, in which every line break is
escaped, and ids and event names have alphabets without line breaks.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from datetime import UTC, datetime
from functools import lru_cache

from gapless.log.cursor import Position
from gapless.log.entries import Entry
from gapless.log.errors import CorruptLog
from gapless.log.store import Room

_EVENT_OPENS = b'{"event":"'
_SENT_AS_MESSAGE = frozenset({b"message", b"live", b"beat"})
"""Names of messages whose blocks have no `event` line. `live` and `beat` became the service's own later: logs may still
hold messages of these names."""


class Frame:
    """One message, encoded: `block` is the whole event of a stream of this one channel, id line included.

    The block is all that is kept: the entry is made of it again where a caller wants it.
    """

    __slots__ = ("_json_at", "_members", "_rest_at", "block", "position", "prev", "time")

    def __init__(self, channel: str, entry: Entry) -> None:
        name, rest = _split_body(entry.body)
        id_line = f"id: {entry.position}\n".encode()
        event_line = b"" if name in _SENT_AS_MESSAGE else b"event: " + name + b"\n"
        opening = f'{{"id":"{entry.position}","channel":"{channel}",'.encode()
        closing = f',"timestamp":"{timestamp(entry.time)}"}}\n\n'.encode()
        self.position = entry.position
        self.prev = entry.prev
        self.time = entry.time
        self.block = b"".join((id_line, event_line, b"data: ", opening, rest, closing))
        self._rest_at = len(id_line)
        self._json_at = len(id_line) + len(event_line) + 6
        begin = self._json_at + len(opening)
        self._members = slice(begin, begin + len(rest))

    @property
    def before(self) -> Position:
        """The position just before this message."""
        return Position(self.position.epoch, self.position.seq - 1, self.prev)

    @property
    def entry(self) -> Entry:
        """The message as the log holds it."""
        return Entry(self.position, self.prev, self.time, b"{%b}" % self.block[self._members])

    @property
    def size(self) -> int:
        """Bytes on the wire."""
        return len(self.block)

    @property
    def json(self) -> bytes:
        """The message as JSON, as history returns it: the same bytes as the stream's `data`."""
        return self.block[self._json_at : -2]

    def under(self, cursor: bytes) -> tuple[bytes, bytes, bytes, memoryview]:
        """The block with the cursor of a stream of many channels as its id, in parts to be joined."""
        return b"id: ", cursor, b"\n", memoryview(self.block)[self._rest_at :]


def first_that_fit(frames: Sequence[Frame], room: Room) -> Sequence[Frame]:
    """As many of the oldest frames as `room` takes, but at least one."""
    return frames[: _count_that_fit(frames[: room.messages], room.size)]


def last_that_fit(frames: Sequence[Frame], room: Room) -> Sequence[Frame]:
    """As many of the newest frames as `room` takes, but at least one."""
    count = _count_that_fit(reversed(frames[-room.messages :]), room.size)
    return frames[len(frames) - count :]


def _count_that_fit(frames: Iterable[Frame], most: int) -> int:
    """How many of these frames, from the first, have `most` bytes together; the first one may have more."""
    count = size = 0
    for frame in frames:
        size += frame.size
        if size > most and count:
            break
        count += 1
    return count


def _split_body(body: bytes) -> tuple[bytes, bytes]:
    """The event's name, and the members of a stored body without the braces."""
    end = body.find(b'"', len(_EVENT_OPENS))
    if not body.startswith(_EVENT_OPENS) or end < 0 or not body.endswith(b"}"):
        raise CorruptLog(f"not a message of ours: {body[:60]!r}")
    return body[len(_EVENT_OPENS) : end], body[1:-1]


def timestamp(milliseconds: int) -> str:
    """RFC 3339 in UTC with milliseconds, from milliseconds since 1970."""
    seconds, rest = divmod(milliseconds, 1000)
    return f"{_second(seconds)}.{rest:03d}Z"


@lru_cache(64)
def _second(seconds: int) -> str:
    """Messages that come together share it, and it is what takes long."""
    return f"{datetime.fromtimestamp(seconds, UTC):%Y-%m-%dT%H:%M:%S}"
