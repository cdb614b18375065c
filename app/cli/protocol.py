"""uvicorn's HTTP by httptools, with what that leaves unbounded: the length of a request's head, and its patience."""

from __future__ import annotations

import asyncio

from uvicorn.protocols.http.httptools_impl import HttpToolsProtocol

HEAD_LIMIT = 65_536
"""Bytes of a request's line and headers, and of its trailers."""

HEAD_SECONDS = 30.0
"""For a request's head to arrive, and for the first one to begin."""


class BoundedHttp(HttpToolsProtocol):
    """One connection. A head that is too long gets 400, one that takes too long is cut off."""

    _chunk = 0
    _head: int | None = None
    _fields = 0
    _alarm: asyncio.TimerHandle | None = None

    def connection_made(self, transport: asyncio.Transport) -> None:  # type: ignore[override]
        """A connection that never asks for anything is not kept."""
        super().connection_made(transport)
        self._set_alarm()

    def connection_lost(self, exc: Exception | None) -> None:
        """Nothing is left to wait for."""
        self._clear_alarm()
        super().connection_lost(exc)

    def data_received(self, data: bytes) -> None:
        """Parse, and count what has come of a head that is not complete."""
        self._chunk = len(data)
        super().data_received(data)
        if self._head is not None:
            self._head += len(data)
            if self._head > HEAD_LIMIT and not self.transport.is_closing():
                self.send_400_response("The request's head is too long.")

    def on_message_begin(self) -> None:
        """A head begins somewhere in the present chunk, which therefore does not count."""
        super().on_message_begin()
        self._head = -self._chunk
        self._fields = 0
        self._set_alarm()

    def on_header(self, name: bytes, value: bytes) -> None:
        """Trailers come here too, when the head is long complete."""
        self._fields += len(name) + len(value)
        if self._fields > HEAD_LIMIT:
            raise ValueError("the request's head is too long")  # httptools makes it a parser's error: 400
        super().on_header(name, value)

    def on_headers_complete(self) -> None:
        """From here on the app decides how much, and how long."""
        self._head = None
        self._clear_alarm()
        super().on_headers_complete()

    def _set_alarm(self) -> None:
        self._clear_alarm()
        self._alarm = self.loop.call_later(HEAD_SECONDS, self.transport.close)

    def _clear_alarm(self) -> None:
        if self._alarm is not None:
            self._alarm.cancel()
            self._alarm = None
