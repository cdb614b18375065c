"""uvicorn's HTTP protocol on httptools, with what uvicorn lacks: bounds, time limits, and a fix for upgrades."""

from __future__ import annotations

import asyncio
from typing import Any

import httptools
from uvicorn.protocols.http.flow_control import FlowControl
from uvicorn.protocols.http.httptools_impl import HttpToolsProtocol, RequestResponseCycle

from gapless.cli.direct_write import DirectWrite, offer
from gapless.cli.head import check_head, without_upgrade
from gapless.cli.response import join_head, undivided

HEAD_LIMIT = 65_536
"""Bytes of a request's line and headers, and of its trailers."""

MOST_FIELDS = 256
"""Headers, trailers, cookies and parts of the query of a request: each costs a hundred times its shortest form."""

HEAD_SECONDS = 30.0
"""For a request's head to arrive, for the first one to begin, and for what is left of a body after its answer."""

MOST_IN_FLIGHT = 4
"""Requests of one connection that are heard and not answered; nothing more is read until one is."""

_PIECE = 16_384
"""Bytes that are parsed at once. What a head may be longer than HEAD_LIMIT before it is complete."""


class BoundedHttp(HttpToolsProtocol):
    """One connection. A head that is too long gets 400, one that takes too long is cut off.

    At every moment either the app has a request of this connection, or a timer runs that closes it.
    """

    flow: _Flow
    _piece = 0
    _head: int | None = None
    _bytes = 0
    _fields = 0
    _waiting = b""
    _refused = False
    _running: RequestResponseCycle | None = None
    _direct: DirectWrite | None = None
    _alarm: asyncio.TimerHandle | None = None

    def connection_made(self, transport: asyncio.Transport) -> None:  # type: ignore[override]
        """Begin the timer that closes a connection without a request."""
        super().connection_made(transport)
        self.flow = _Flow(transport)
        self._set_alarm()

    def connection_lost(self, exc: Exception | None) -> None:
        """Nothing is left to wait for. uvicorn tells only the newest request of it, and would answer all others."""
        self._clear_alarm()
        self._waiting = b""
        self.pipeline.clear()
        if self._running is not None and not self._running.response_complete:
            self._running.disconnected = True
            self._running.message_event.set()
            if self._direct is not None:
                self._direct.gone()
        super().connection_lost(exc)

    def data_received(self, data: bytes) -> None:
        """Parse as much as may be in flight; the rest waits, and reading with it."""
        if self._refused:
            return
        if self._waiting:
            self._waiting += data
            return
        self._feed(data)
        self._watch()

    def _feed(self, data: bytes) -> None:
        """At most one head at a time: a chunk may hold thousands."""
        self._unset_keepalive_if_required()
        start = 0
        while start < len(data) and not self._refused and not self.transport.is_closing():
            if self._in_flight() >= MOST_IN_FLIGHT:
                self._waiting = data[start:]
                self.flow.hold()
                return
            end = data.find(b"\r\n\r\n", start, start + _PIECE)
            start += self._parse(data[start : start + _PIECE if end < 0 else end + 4])

    def _in_flight(self) -> int:
        return len(self.pipeline) + (self._busy() and 1)

    def _busy(self) -> bool:
        """Whether the app has a request that is not answered."""
        return self._running is not None and not self._running.response_complete

    def _parse(self, piece: bytes) -> int:
        """Let the parser have these bytes; how many of them it took."""
        self._piece = len(piece)
        try:
            self.parser.feed_data(piece)
        except httptools.HttpParserUpgrade as found:
            self._ignore_upgrade()
            return int(found.args[0])
        except httptools.HttpParserError:
            self._refuse("Invalid HTTP request received.")
        if self._head is not None:
            self._head += len(piece)
            if self._head > HEAD_LIMIT and not self.transport.is_closing():
                self._refuse("The request's head is too long.")
        return len(piece)

    def _refuse(self, why: str) -> None:
        """Answer 400 and close; where others are not answered yet, only after them, or theirs it would seem to be."""
        mine = self._head is None and self.cycle is not None and self.cycle.more_body  # in the middle of its body
        before = self._in_flight() - mine
        if not before and not (mine and self.cycle.response_started):
            self.send_400_response(why)
        elif mine:
            self.transport.close()
        else:
            self.cycle.keep_alive = False
            self._waiting = b""
            self._refused = True
            self.flow.hold()

    def _ignore_upgrade(self) -> None:
        """Read the request again as if it had not offered another protocol, which nobody has to accept (RFC 9110, 7.8).

        The parser takes the body of such a request for the other protocol and then for a second request: the writer
        of a body could speak through a proxy in another's name.
        """
        method, version = self.parser.get_method(), self.parser.get_http_version()
        if method == b"CONNECT":
            self._refuse("This is no proxy.")
            return
        lines = [b"%s %s HTTP/%s" % (method, self.url, version.encode())]
        lines += [b"%s: %s" % field for field in without_upgrade(self.headers)]
        self.parser = httptools.HttpRequestParser(self)
        self.parser.set_dangerous_leniencies(lenient_data_after_close=True)
        self._parse(b"\r\n".join([*lines, b"", b""]))

    # --- what the parser tells

    def on_message_begin(self) -> None:
        """A head begins somewhere in the present piece, which therefore does not count."""
        super().on_message_begin()
        self._head = -self._piece
        self._bytes = self._fields = 0
        self._clear_alarm()  # `_watch` sets another where the head is not complete by then: most are

    def on_url(self, url: bytes) -> None:
        """A part of the URL has come."""
        self._fields += url.count(b"&")
        self._count(len(url))
        super().on_url(url)

    def on_header(self, name: bytes, value: bytes) -> None:
        """Trailers come here too, when the head is long complete: they count, and are dropped (RFC 9110, 6.5.1)."""
        self._fields += 1 + (value.count(b";") if name.lower() == b"cookie" else 0)
        self._count(len(name) + len(value) + len(b": \r\n"))
        if self._head is not None:
            super().on_header(name, value)

    def _count(self, more: int) -> None:
        self._bytes += more
        if self._bytes > HEAD_LIMIT or self._fields > MOST_FIELDS:
            raise ValueError("the request's head is too long")  # httptools makes it a parser's error: 400

    def on_headers_complete(self) -> None:
        """From here on the app decides how much, and how long."""
        if self.parser.should_upgrade():  # `_parse` hears of it next
            self._head = None
            return
        check_head(self.parser.get_http_version(), self.url, self.headers)
        self._head = None
        self._clear_alarm()
        super().on_headers_complete()

    def on_message_complete(self) -> None:
        """Of a request that will be read again, and so was not, there is nothing to tell."""
        if not self.parser.should_upgrade():
            super().on_message_complete()

    # --- what the app does

    def _start_asgi_task(self, cycle: RequestResponseCycle, app: Any) -> None:
        self._running, self._direct = cycle, offer(cycle)
        join_head(cycle)
        if cycle.scope["http_version"] == "1.0":
            app = undivided(cycle, app)
        super()._start_asgi_task(cycle, app)

    def on_response_complete(self) -> None:
        """Go on with what waits. A body that is not all there is no pause between requests."""
        if self._direct is not None:
            self._direct.end()
        super().on_response_complete()
        if self._running is not None and self._running.more_body:
            self._unset_keepalive_if_required()
        if self._waiting and not self.transport.is_closing():
            waiting, self._waiting = self._waiting, b""
            self.flow.release()
            self._feed(waiting)
        self._watch()

    # --- patience

    def _watch(self) -> None:
        """A head that is not complete, and what is no request (the rest of a body that was answered, empty lines)."""
        if self._alarm is None and (self._head is not None or not (self.timeout_keep_alive_task or self._busy())):
            self._set_alarm()

    def _set_alarm(self) -> None:
        self._clear_alarm()
        self._alarm = self.loop.call_later(HEAD_SECONDS, self.transport.close)

    def _clear_alarm(self) -> None:
        if self._alarm is not None:
            self._alarm.cancel()
            self._alarm = None


class _Flow(FlowControl):
    """uvicorn's, which reads on whenever an app asks for its body: not while enough is in flight."""

    _held = False

    def hold(self) -> None:
        """Read nothing until `release`."""
        self._held = True
        self.pause_reading()

    def release(self) -> None:
        self._held = False
        self.resume_reading()

    def resume_reading(self) -> None:
        if not self._held:
            super().resume_reading()
