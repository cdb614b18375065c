"""A reader by turns that asks when it is told to, and so never leaves one half read."""

from __future__ import annotations

from typing import TYPE_CHECKING

from tests.testkit.event_stream import EventStreamParser
from tests.testkit.history import content_key
from tests.testkit.reader_notes import Notes

if TYPE_CHECKING:
    import httpx

    from tests.testkit.reader_log import ReaderLog


class TurnReader(Notes):
    """Reads the stream at `url` into `log`, one whole answer after the other."""

    def __init__(self, log: ReaderLog, url: str, client: httpx.AsyncClient) -> None:
        super().__init__(log, content_key)
        self.cursor = log.start or ""
        self._url, self._client = url, client

    async def ask(self) -> None:
        """One turn: it waits for as long as there is nothing new."""
        if self.log.events:
            self.log.reconnected(self.cursor)
        headers = {"Last-Event-ID": self.cursor} if self.cursor else {}
        reply = await self._client.get(self._url, params={"mode": "buffered"}, headers=headers)
        assert reply.status_code == 200, (reply.status_code, reply.text)
        parser = EventStreamParser(self.cursor)
        for event in parser.feed(reply.content):
            self.take(event)
        self.cursor = parser.last_event_id
