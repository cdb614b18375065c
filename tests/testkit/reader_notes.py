"""What a reader of streams writes down for the checker, block by block."""

from __future__ import annotations

import json
import sys
from typing import TYPE_CHECKING, Any

from tests.testkit.asides import Known, read_aside

if TYPE_CHECKING:
    from collections.abc import Callable, Hashable

    from tests.testkit.event_stream import Event
    from tests.testkit.reader_log import ReaderLog


class Notes:
    """Takes each event into `log`. `content`: from a message's `data` to what the checker compares."""

    def __init__(self, log: ReaderLog, content: Callable[[Any], Hashable]) -> None:
        self.log = log
        self.messages = 0
        self.at: dict[str, str] = {}
        """The id of the last message seen, per channel."""
        self.around = Known()
        """What the present connection has told around the messages."""
        self._content = content

    def take(self, event: Event) -> None:
        cursor = event.last_event_id if event.has_id else None
        try:
            self._note(event, cursor, json.loads(event.data))
        except (ValueError, KeyError, TypeError, AttributeError):
            # Never swallowed: a torn or garbled block is for the checker to call forged.
            self.log.message(self.log.channels[0], f"unreadable {event.type}", event.data, cursor=cursor)

    def _note(self, event: Event, cursor: str | None, data: dict[str, Any]) -> None:
        if (aside := read_aside(event.type, data)) is not None:
            self.log.events.append(aside)
            self.around.take(aside)
            return
        match event.type:
            case "hello":
                self.log.hello(cursor)
                self.around = Known()
            case "end":
                self.log.end(data["reason"])
            case "gap":
                span = data["missed"], data["oldest"], data["latest"]
                self.log.gap(data["channel"], data["reason"], *span, cursor)
            case _:
                self._note_message(event, cursor, data)

    def _note_message(self, event: Event, cursor: str | None, data: dict[str, Any]) -> None:
        if data["event"] != event.type:
            raise ValueError(f"{event.type} carries a {data['event']}")
        content = self._content(data["data"])
        self.log.message(
            sys.intern(data["channel"]),
            sys.intern(data["id"]),
            sys.intern(content) if isinstance(content, str) else content,
            cursor=cursor if cursor is None else sys.intern(cursor),
            publisher=data["user"] or "",
            local_id=data["localId"],
        )
        self.messages += 1
        self.at[data["channel"]] = data["id"]
