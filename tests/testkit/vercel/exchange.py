"""One request on its way through Vercel's edge, and its answer on the way back."""

from __future__ import annotations

import asyncio
import contextlib
import secrets
from typing import TYPE_CHECKING

from tests.testkit.vercel.http import BodyEnd, Head, reply

if TYPE_CHECKING:
    from collections import Counter
    from datetime import datetime

    from tests.testkit.vercel.instance import Instance

# An address that is nobody's (RFC 5737): what a function may see of a browser is never loopback.
CLIENT = "203.0.113.7"

# What only the edge may say, in either direction; and what holds for one connection only.
_HOP = ("connection", "keep-alive", "proxy-")
_FROM_EDGE = ("x-vercel-", "x-forwarded-", "x-real-ip", "forwarded")


class Cut(Exception):
    """The answer's deadline was now, whatever the clock says."""


class Exchange:
    """One connection of a client, and the function's answer on its way to it."""

    def __init__(
        self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter, tally: Counter[str], cancellation: bool
    ) -> None:
        self._reader, self._writer = reader, writer
        self._tally, self._cancellation = tally, cancellation
        self.answering = self._abandoned = False
        self.left: int | None = None
        """How many more bytes of the answer pass until it is cut; None while nobody has said so."""

    async def ignore(self, length: int) -> None:
        """Read the body first: most clients look at the answer only when they have sent it all."""
        await self._reader.readexactly(length)

    async def tell(self, status: str, code: str) -> None:
        """Report an error of the platform, if there is still someone to whom nothing was said."""
        if not self.answering and not self._abandoned:
            self._writer.write(reply(status, code))
            await self._writer.drain()

    async def relay(self, request: Head, instance: Instance) -> None:
        """Hand the request over and the answer back. IncompleteReadError if the function breaks it off."""
        reader, writer = await asyncio.open_connection("127.0.0.1", instance.port)
        writer.write(request.encode())
        answer = asyncio.create_task(self._answer(reader, request))
        upload = asyncio.create_task(self._upload(writer))
        try:
            await asyncio.wait((answer, upload), return_when=asyncio.FIRST_COMPLETED)
            if not answer.done():
                self._abandoned = True
                self._tally["abandoned"] += 1
            if answer.done() or not self._cancellation:
                await answer
        finally:
            writer.close()
            for task in (answer, upload):
                task.cancel()
            await asyncio.gather(answer, upload, return_exceptions=True)

    async def _upload(self, writer: asyncio.StreamWriter) -> None:
        """Pass on the body, if any; the end of this is the client's leaving, as clients close nothing half."""
        with contextlib.suppress(ConnectionError):
            while data := await self._reader.read(65536):
                writer.write(data)
                await writer.drain()

    async def _answer(self, reader: asyncio.StreamReader, request: Head) -> None:
        head = await Head.read(reader)
        while head.status == 100:
            self._writer.write(head.encode())
            head = await Head.read(reader)
        self.answering = True
        self._writer.write(_to_client(head).encode())
        end = BodyEnd(request, head)
        while not end.reached:
            data = await reader.read(65536)
            if not data:
                raise asyncio.IncompleteReadError(data, None)
            end.passes(data)
            data = data[: self.left]
            # Nobody tells the function that its client is gone: it goes on, and is billed, to its own end.
            if not self._writer.is_closing():
                self._writer.write(data)
                with contextlib.suppress(ConnectionError):
                    await self._writer.drain()
            if self.left is not None:
                self.left -= len(data)
                if not self.left:
                    raise Cut


def to_function(request: Head, end: datetime | None) -> Head:
    """The request with what the platform adds to it; the runtime takes the internal fields out again."""
    token = secrets.token_hex(8)
    added = (
        ("connection", "close"),
        ("x-forwarded-for", CLIENT),
        ("x-real-ip", CLIENT),
        ("x-vercel-forwarded-for", CLIENT),
        ("x-forwarded-host", request.get("host") or ""),
        ("x-forwarded-proto", "https"),
        ("x-vercel-id", f"iad1::iad1::{token}"),
        ("x-vercel-internal-invocation-id", token),
        ("x-vercel-internal-request-id", str(int(token[:6], 16))),
        ("x-vercel-internal-span-id", token),
        ("x-vercel-internal-trace-id", token * 2),
        *((("x-vercel-internal-deadline", _rfc3339(end)),) if end else ()),
    )
    return request.replace((*_HOP, *_FROM_EDGE), added)


def _rfc3339(moment: datetime) -> str:
    return moment.isoformat(timespec="milliseconds").replace("+00:00", "Z")


def _to_client(answer: Head) -> Head:
    return answer.replace((*_HOP, "server", "x-vercel-internal-"), (("connection", "close"), ("server", "Vercel")))
