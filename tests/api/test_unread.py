"""Which answers close their connection, as the app can say it. Over sockets: tests/front/test_raw_connections.py."""

from __future__ import annotations

import asyncio
from collections.abc import MutableMapping
from typing import Any

import pytest

from gapless.api import unread
from gapless.api.unread import REST_BYTES, Unread

LENGTH = (b"content-length", b"10")
OFFER = (b"upgrade", b"h2c")
CLOSE = (b"connection", b"close")


class Asked:
    """A request whose body comes in these pieces, of which the app reads so many; and what was answered."""

    def __init__(self, *pieces: bytes, reads: int = 0, headers: Any = (LENGTH,), **scope: Any) -> None:
        last = len(pieces) - 1
        self.coming = [
            {"type": "http.request", "body": piece, "more_body": number != last} for number, piece in enumerate(pieces)
        ]
        self.reads = reads
        self.read = b""
        self.sent: list[MutableMapping[str, Any]] = []
        self.scope = {"type": "http", "http_version": "1.1", "method": "POST", "headers": list(headers), **scope}

    async def receive(self) -> MutableMapping[str, Any]:
        return self.coming.pop(0) if self.coming else await asyncio.Event().wait()  # type: ignore[return-value]

    async def send(self, message: MutableMapping[str, Any]) -> None:
        self.sent.append(message)

    async def app(self, scope: Any, receive: Any, send: Any) -> None:
        for _ in range(self.reads):
            self.read += (await receive())["body"]
        await send({"type": "http.response.start", "status": 200, "headers": []})
        await send({"type": "http.response.body", "body": b""})

    async def closes(self) -> bool:
        """Ask; whether the answer says so."""
        await Unread(self.app)(self.scope, self.receive, self.send)
        return CLOSE in self.sent[0]["headers"]


CASES: dict[str, tuple[Asked, bool]] = {
    "no body": (Asked(headers=()), False),
    "an empty one": (Asked(headers=[(b"content-length", b"0")]), False),
    "read": (Asked(b"0123456789", reads=1), False),
    "there, and not read": (Asked(b"01234", b"56789"), False),
    "read in part, the rest is there": (Asked(b"01234", b"56789", reads=1), False),
    "of a request that should have none": (Asked(b"0123456789", method="GET"), True),
    "not to be sent yet": (Asked(headers=[LENGTH, (b"expect", b"100-continue")]), True),
    "of HTTP/2, which has streams": (Asked(b"01234", b"56789", http_version="2"), False),
    "of HTTP/2, of which no more comes": (Asked(http_version="2", method="GET"), False),
    "of HTTP/1.0": (Asked(b"0123456789", reads=1, http_version="1.0"), False),
    "without one, an offer": (Asked(headers=[OFFER]), True),
    "with an offer, read": (Asked(b"0123456789", reads=1, headers=[LENGTH, OFFER]), True),
    "a tunnel": (Asked(headers=(), method="CONNECT"), True),
}


@pytest.mark.parametrize(("asked", "closes"), CASES.values(), ids=CASES)
async def test_who_is_told_to_close(asked: Asked, closes: bool) -> None:
    assert await asked.closes() == closes
    assert asked.sent[0]["status"] == 200


@pytest.mark.virtual_time
async def test_a_rest_is_waited_for_a_moment() -> None:
    asked, began = Asked(b"01234", b"56789", reads=0), asyncio.get_running_loop().time()
    asked.coming.pop()
    assert await asked.closes()
    assert asyncio.get_running_loop().time() - began == pytest.approx(unread.REST_SECONDS)


@pytest.mark.virtual_time
async def test_who_has_waited_already_is_answered_at_once() -> None:
    asked = Asked(b"")
    asked.coming.clear()

    async def gives_up(scope: Any, receive: Any, send: Any) -> None:
        try:
            async with asyncio.timeout(30):
                await receive()
        except TimeoutError:
            await send({"type": "http.response.start", "status": 408, "headers": []})

    await Unread(gives_up)(asked.scope, asked.receive, asked.send)
    assert asyncio.get_running_loop().time() == pytest.approx(30)
    assert CLOSE in asked.sent[0]["headers"]


async def test_a_long_rest_is_not_read() -> None:
    pieces = [b"x" * 65_536] * 40
    asked = Asked(*pieces)
    assert await asked.closes()
    assert len(asked.coming) == len(pieces) - REST_BYTES // 65_536


async def test_a_body_that_the_server_dropped_is_told_of() -> None:
    asked = Asked(b"", reads=1, headers=[LENGTH, OFFER])
    assert await asked.closes()
    assert asked.sent[0]["status"] == 400
    assert b"gapless serve" in asked.sent[1]["body"]
    assert not asked.read


async def test_a_body_that_is_there_comes_whole_beside_an_offer() -> None:
    asked = Asked(b"01234", b"56789", reads=2, headers=[LENGTH, OFFER])
    assert await asked.closes()
    assert asked.read == b"0123456789"
