"""Whoever publishes keys, on loopback: counts its requests, and can be slow, wrong or silent."""

from __future__ import annotations

import asyncio
import json
from typing import Any, Self

from tests.testkit.listener import Listener


class KeyServer:
    """`async with KeyServer(jwk, …) as server:` serves `server.keys` at `server.url`.

    `answer`: raw bytes instead; `answers`: those of the next requests, in turn. `silent`: requests are taken and never
    answered. `trickle`: seconds between two bytes of an answer without an end. `gate`: cleared, answers wait for it.
    """

    def __init__(self, *keys: dict[str, Any]) -> None:
        self.keys = list(keys)
        self.answer: bytes | None = None
        self.answers: list[bytes] = []
        self.silent = False
        self.trickle = 0.0
        self.heads: list[bytes] = []
        self.gate = asyncio.Event()
        self.gate.set()
        self._listener = Listener(self._serve)

    @property
    def requests(self) -> int:
        return len(self.heads)

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self._listener.port}/keys?key=hunter2"

    async def __aenter__(self) -> Self:
        await self._listener.__aenter__()
        return self

    async def __aexit__(self, *_: object) -> None:
        await self._listener.__aexit__()

    async def _serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self.heads.append(await reader.readuntil(b"\r\n\r\n"))
        if self.silent:
            await asyncio.Event().wait()
        await self.gate.wait()
        if self.trickle:
            writer.write(b"HTTP/1.1 200 OK\r\n\r\n")
            while not writer.is_closing():
                writer.write(b" ")
                await writer.drain()
                await asyncio.sleep(self.trickle)
        raw = self.answers.pop(0) if self.answers else self.answer
        writer.write(reply(json.dumps({"keys": self.keys}).encode()) if raw is None else raw)
        await writer.drain()


def reply(body: bytes, status: str = "200 OK", *more: str) -> bytes:
    """An HTTP reply."""
    head = [f"HTTP/1.1 {status}", f"Content-Length: {len(body)}", "Connection: close", *more, "", ""]
    return "\r\n".join(head).encode() + body
