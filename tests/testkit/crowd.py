"""Readers by the thousand in one process: bare sockets, of whose bytes only numbers, last ids and delays are kept."""

from __future__ import annotations

import asyncio
import re
import socket
import time
from contextlib import asynccontextmanager
from itertools import zip_longest
from typing import TYPE_CHECKING

from tests.testkit.alarm import Alarm

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Callable, Iterable

_MESSAGE = re.compile(rb'\ndata: \{"id":"([0-9a-z]{8}-(\d+)-[0-9a-z]{4})"[^\n]*')
_SENT = re.compile(rb'"sent":([0-9.]+)')
_HELLO = re.compile(rb"\nid: (\S+)\nevent: hello\n")
AWAY = 1.0
"""Seconds after which a reader whose stream was ended comes back."""
AT_ONCE = 200
"""Connections that are begun together: a listener's queue is finite."""


class Ear(asyncio.Protocol):
    """One reader of one channel (or several, joined by commas), who comes back with `last_id`.

    `mute`: it never reads a byte.
    """

    def __init__(self, crowd: Crowd, channel: str, *, mute: bool = False, last_id: str = "") -> None:
        self.crowd = crowd
        self.channel = channel
        self.mute = mute
        self.last_id = last_id
        self.numbers: list[int] = []
        """The seq of each message, in the order in which they came."""
        self.greeted = 0
        self.gaps = 0
        self.sent_away = 0
        self.transport: asyncio.Transport | None = None
        self._rest = b""

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        assert isinstance(transport, asyncio.Transport)
        self.transport, self._rest = transport, b""
        if self.mute:
            transport.pause_reading()
        after = f"Last-Event-ID: {self.last_id}\r\n" if self.last_id else ""
        path = f"/stream?channel={self.channel}" if "," in self.channel else f"/channels/{self.channel}/stream"
        transport.write(f"GET {path} HTTP/1.1\r\nHost: 127.0.0.1\r\n{after}\r\n".encode())

    def data_received(self, data: bytes) -> None:
        now = time.time()
        data = self._rest + data
        end = data.rfind(b"\n\n") + 1  # the last line end opens what comes next
        data, self._rest = data[:end], data[end:]
        if hello := _HELLO.search(data):
            self.greeted += 1
            self.last_id = hello[1].decode()
        self.gaps += data.count(b"\nevent: gap\n")
        last = None
        for last in _MESSAGE.finditer(data):
            self.numbers.append(int(last[2]))
            if sent := _SENT.search(last[0]):
                self.crowd.delays.append(now - float(sent[1]))
        if last is not None:
            self.last_id = last[1].decode()
        if b"\nevent: end\n" in data or data.startswith(b"event: end\n"):  # for now there is no stream
            self.sent_away += 1
            self.cut()
            asyncio.get_running_loop().call_later(AWAY, self.crowd.send_for, self)
        self.crowd.changed.set()

    def cut(self) -> None:
        """Gone, with a reset, whatever was under way."""
        if self.transport is not None:
            self.transport.abort()
            self.transport = None


class Crowd:
    """`delays`: seconds from a message's own `sent` to each reader."""

    def __init__(self, port: int) -> None:
        self.port = port
        self.ears: list[Ear] = []
        self.delays: list[float] = []
        self.changed = asyncio.Event()
        self._coming: set[asyncio.Task[None]] = set()

    def send_for(self, ear: Ear) -> None:
        """This one comes back in its own time."""
        task = asyncio.create_task(self._connect(ear))
        self._coming.add(task)
        task.add_done_callback(self._coming.discard)

    async def join(self, channels: Iterable[str], *, mute: bool = False, at: Iterable[str] = ()) -> list[Ear]:
        """One reader for each of these; returns when they are greeted, or, if they never read, connected.

        `at`: the last id of each.
        """
        new = [Ear(self, channel, mute=mute, last_id=last) for channel, last in zip_longest(channels, at, fillvalue="")]
        self.ears += new
        await self.connect(new)
        return new

    async def connect(self, ears: list[Ear]) -> None:
        """They come (back)."""
        for first in range(0, len(ears), AT_ONCE):
            some = ears[first : first + AT_ONCE]
            seen = {ear: ear.greeted for ear in some}
            await asyncio.gather(*(self._connect(ear) for ear in some))
            await self.until(lambda seen=seen: all(e.mute or e.greeted > n for e, n in seen.items()), "greeted")

    async def _connect(self, ear: Ear) -> None:
        sock = socket.socket()
        if ear.mute:  # so that little can lie between us
            sock.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4096)
        sock.setblocking(False)
        loop = asyncio.get_running_loop()
        await loop.sock_connect(sock, ("127.0.0.1", self.port))
        await loop.create_connection(lambda: ear, sock=sock)

    def cut(self) -> None:
        """All at once."""
        for ear in self.ears:
            ear.cut()

    async def until(self, met: Callable[[], bool], what: str, *, alarm: float = 40.0) -> None:
        """Wait for it."""
        try:
            async with asyncio.timeout(alarm):
                while not met():
                    self.changed.clear()
                    await self.changed.wait()
        except TimeoutError:
            raise Alarm(f"not within {alarm:g} s: {what}") from None

    async def until_at(self, number: int) -> None:
        """Wait until everybody has come so far, and see that each missed nothing and got nothing twice."""
        reading = [ear for ear in self.ears if not ear.mute]
        await self.until(lambda: all(e.numbers and e.numbers[-1] >= number for e in reading), f"all at {number}")
        for ear in reading:
            assert ear.numbers == list(range(ear.numbers[0], number + 1)), ear.numbers
            assert not ear.gaps


@asynccontextmanager
async def crowd(port: int | None) -> AsyncIterator[Crowd]:
    """Nobody yet; whoever has joined is gone at the end."""
    assert port is not None
    gathered = Crowd(port)
    try:
        yield gathered
    finally:
        gathered.cut()
