"""One turn by a plain request, and what is in it."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any, NamedTuple

from tests.testkit.event_stream import Event, EventStreamParser

if TYPE_CHECKING:
    import httpx


class Turn(NamedTuple):
    """The events of one answer, in order, the pause it asks for in milliseconds, and the cursor it leaves."""

    events: list[Event]
    retry: int | None
    cursor: str

    @property
    def messages(self) -> list[Any]:
        """Whole messages, as JSON."""
        return [json.loads(event.data) for event in self.events if event.type == "message"]

    @property
    def kinds(self) -> list[str]:
        """The types of the events."""
        return [event.type for event in self.events]

    @property
    def end(self) -> str:
        """Why it ended."""
        last = self.events[-1]
        assert last.type == "end"
        return str(json.loads(last.data)["reason"])


async def take(http: httpx.AsyncClient, path: str, cursor: str = "") -> Turn:
    """What a client gets that asks with this cursor."""
    reply = await http.get(path, headers={"Last-Event-ID": cursor} if cursor else {})
    assert reply.status_code == 200 and reply.headers["content-type"].startswith("text/event-stream"), reply.text
    parser = EventStreamParser(cursor)
    events = list(parser.feed(reply.content))
    return Turn(events, parser.retry, parser.last_event_id)
