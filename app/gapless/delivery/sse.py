"""The service's own server-sent events as bytes. Pure. (docs/protocol.md, section 3)"""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping, Sequence
from typing import Any

from gapless.delivery.end import End
from gapless.log.cursor import Position, format_cursor
from gapless.log.entries import Gap

HEARTBEAT = b":\n"
"""A comment alone. No blank line after it: some clients turn a comment block into an empty event."""


VISIBLE_HEARTBEAT = b"event: beat\ndata: {}\n\n"
"""An event of its own, for pages that can't see comments: a stock EventSource hides them."""

_to_json = json.JSONEncoder(separators=(",", ":")).encode
"""`json.dumps` would make an encoder for each event."""


def block(event: str, data: Any, *, cursor: Iterable[Position] | None = None, retry: int | None = None) -> bytes:
    """One of the service's own events. `cursor` becomes its id; `retry` in milliseconds."""
    lines = [] if retry is None else [f"retry: {retry}"]
    if cursor is not None:
        lines.append(f"id: {format_cursor(cursor)}")
    lines += [f"event: {event}", f"data: {_to_json(data)}"]
    return ("\n".join(lines) + "\n\n").encode()


def hello(
    cursor: Sequence[Position] | None,
    channels: Sequence[str],
    *,
    heartbeat: float,
    lifetime: float,
    mode: str,
    retry: int,
    features: Mapping[str, Sequence[str]] | None = None,
) -> bytes:
    """The first block of a stream. Its id is the position before everything the stream will send.

    `features`: what the channels offer beside messages, left out where none offers anything.
    """
    data = {
        "cursor": None if cursor is None else format_cursor(cursor),
        "channels": list(channels),
        "heartbeat": _number(heartbeat),
        "lifetime": _number(lifetime),
        "mode": mode,
        **({"features": features} if features else {}),
    }
    return block("hello", data, cursor=cursor, retry=retry)


def live(cursor: Sequence[Position]) -> bytes:
    """What was there at the stream's start has been sent. No id: it moves no position."""
    return block("live", {"cursor": format_cursor(cursor)})


def gap_json(channel: str, gap: Gap) -> dict[str, Any]:
    """A gap as its reader is told of it, in a stream or in a page of history."""
    return {
        "channel": channel,
        "reason": gap.reason.value,
        "missed": gap.missed,
        "oldest": None if gap.oldest is None else str(gap.oldest),
        "latest": None if gap.latest is None else str(gap.latest),
    }


def end(reason: End, *, retry: int | None = None) -> bytes:
    """The last block of a stream that the service closes."""
    return block("end", {"reason": reason.value}, retry=retry)


def _number(value: float) -> float | int:
    """Whole seconds without a fraction, others to the millisecond."""
    return int(value) if value == int(value) else round(value, 3)
