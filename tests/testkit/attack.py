"""What one client can do to a service: `python -m tests.testkit.attack NAME PORT TOKEN`.

Says `attacking` when it has begun and goes on until its input ends. Then it prints, as JSON, how often it got which
status. It comes from an address of its own. Its load is bounded: a few connections that wait for their answers, or as
many silent ones as once stopped a service.
"""

from __future__ import annotations

import asyncio
import json
import re
import sys
from collections import Counter
from collections.abc import Awaitable, Callable
from contextlib import suppress
from itertools import count

ADDRESS = "127.0.0.2"
LINES = 4
"""Connections that ask and wait for the answer."""
HELD = 200
"""Connections that are kept open, the oldest of which makes way."""
PIPELINES = 5
"""Connections of each line that ask for thousands of answers, and read none."""
NEVER = "t9x2k0ab-7-abcd"

Attack = Callable[["Attacker", int], Awaitable[None]]
ATTACKS: dict[str, Attack] = {}


class Attacker:
    """`token` may read and write the channels `m.*`."""

    def __init__(self, port: int, token: str) -> None:
        self.port = port
        self.token = token
        self.statuses: Counter[str] = Counter()
        self.numbers = count()
        self._held: list[asyncio.StreamWriter] = []

    async def connect(self) -> tuple[asyncio.StreamReader, asyncio.StreamWriter]:
        return await asyncio.open_connection("127.0.0.1", self.port, local_addr=(ADDRESS, 0))

    def hold(self, writer: asyncio.StreamWriter) -> None:
        """Keep it open."""
        self._held.append(writer)
        for old in self._held[:-HELD]:
            old.transport.abort()
        del self._held[:-HELD]

    async def ask(self, request: Callable[[], bytes]) -> None:
        """One request after another on one connection, or on the next where that is closed."""
        reader, writer = await self.connect()
        try:
            while True:
                writer.write(request())
                if await self.hear(reader):
                    return
        finally:
            writer.close()

    async def hear(self, reader: asyncio.StreamReader) -> bool:
        """Read an answer that has a length, and count it; whether it was the connection's last."""
        head = (await reader.readuntil(b"\r\n\r\n")).lower()
        self.statuses[head[9:12].decode()] += 1
        if length := re.search(rb"content-length: (\d+)", head):
            await reader.readexactly(int(length[1]))
        return b"connection: close" in head

    def request(self, method: str, path: str, *headers: str, body: bytes = b"", keyed: bool = True) -> bytes:
        lines = [f"{method} {path} HTTP/1.1", "Host: localhost", *headers]
        if keyed:
            lines.append(f"Authorization: Bearer {self.token}")
        if body:
            lines += ["Content-Type: application/json", f"Content-Length: {len(body)}"]
        return "\r\n".join([*lines, "", ""]).encode() + body


def attack(name: str) -> Callable[[Attack], Attack]:
    """Adds an attack: it is begun again whenever it ends, on several lines at once."""

    def add(what: Attack) -> Attack:
        ATTACKS[name] = what
        return what

    return add


@attack("unfinished")
async def unfinished(us: Attacker, line: int) -> None:
    """A request that is refused, one more byte of its body, and silence."""
    opened = [await us.connect() for _ in range(HELD // LINES // 2)]
    for _, writer in opened:
        us.hold(writer)
        writer.write(us.request("POST", "/channels/m.a/messages", "Content-Length: 10", keyed=False))
    for reader, writer in opened:
        await us.hear(reader)
        writer.write(b"{")


@attack("pipelines")
async def pipelines(us: Attacker, line: int) -> None:
    """Thousands of requests in one write; the answers are not read."""
    for _ in range(PIPELINES):
        _, writer = await us.connect()
        us.hold(writer)
        writer.transport.pause_reading()  # type: ignore[attr-defined]
        writer.write(us.request("GET", "/openapi.json") * 1500)
        us.statuses["unread"] += 1
    await asyncio.Event().wait()


@attack("heads")
async def heads(us: Attacker, line: int) -> None:
    """Forty thousand headers."""
    await us.ask(lambda: us.request("GET", "/healthz", *["a:"] * 40_000))


@attack("readiness")
async def readiness(us: Attacker, line: int) -> None:
    """What makes the service ask its store."""
    await us.ask(lambda: us.request("GET", "/readyz", keyed=False))


@attack("proxies")
async def proxies(us: Attacker, line: int) -> None:
    """Requests without a token, which say that a proxy has sent them."""
    headers = ("X-Forwarded-Proto: https", "CF-Connecting-IP: 127.0.0.1", "Forwarded: for=127.0.0.1")
    await us.ask(lambda: us.request("POST", "/channels/m.a/messages", *headers, body=b'{"data":1}', keyed=False))


@attack("addresses")
async def addresses(us: Attacker, line: int) -> None:
    """Streams opened and left, each time under another address."""
    reader, writer = await us.connect()
    spoofed = f"X-Forwarded-For: 203.0.113.{next(us.numbers) % 256}"
    writer.write(us.request("GET", "/channels/m.a/stream", spoofed))
    await reader.readuntil(b"\r\n\r\n")
    first = await reader.readuntil(b"\n\n")
    us.statuses["busy" if b"busy" in first else "stream"] += 1
    writer.transport.abort()


@attack("numbers")
async def numbers(us: Attacker, line: int) -> None:
    """Bodies that once were stored in four times their size."""
    body = b'{"data":[%b1]}' % (b"1e15," * 26_000)
    await us.ask(lambda: us.request("POST", "/channels/m.numbers/messages", body=body))


@attack("channels")
async def channels(us: Attacker, line: int) -> None:
    """Streams of sixteen new channels each."""
    reader, writer = await us.connect()
    us.hold(writer)
    named = ",".join(f"m.{next(us.numbers)}" for _ in range(16))
    writer.write(us.request("GET", f"/stream?channel={named}"))
    await reader.readuntil(b"\r\n\r\n")
    first = await reader.readuntil(b"\n\n")
    us.statuses["busy" if b"busy" in first else "stream"] += 1


@attack("reads")
async def reads(us: Attacker, line: int) -> None:
    """Pages before and after an id that never was."""
    where = ("before", "after")[line % 2]
    await us.ask(lambda: us.request("GET", f"/channels/m.numbers/messages?limit=200&{where}={NEVER}"))


@attack("bytes")
async def fill(us: Attacker, line: int) -> None:
    """The largest messages there may be."""
    body = b'{"data":"%b"}' % (b"x" * 131_000)
    await us.ask(lambda: us.request("POST", "/channels/m.bytes/messages", body=body))


async def attack_for_ever(us: Attacker, what: Attack, line: int) -> None:
    """Whatever the service closes or refuses, go on."""
    while True:
        with suppress(OSError, asyncio.IncompleteReadError):
            await what(us, line)


async def main(name: str, port: int, token: str) -> None:
    """Attack until our input ends."""
    us = Attacker(port, token)
    lines = [asyncio.create_task(attack_for_ever(us, ATTACKS[name], line)) for line in range(LINES)]
    print("attacking", flush=True)
    await asyncio.to_thread(sys.stdin.read)
    for line in lines:
        line.cancel()
    await asyncio.gather(*lines, return_exceptions=True)
    print(json.dumps(us.statuses), flush=True)


if __name__ == "__main__":
    asyncio.run(main(sys.argv[1], int(sys.argv[2]), sys.argv[3]))
