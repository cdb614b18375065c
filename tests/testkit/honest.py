"""Honest clients of a keyed service, with the same load in every window: how long they wait, what is refused them."""

from __future__ import annotations

import asyncio
import json
import math
import sys
import time
from collections.abc import AsyncIterator, Mapping
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import dataclass, field

from tests.testkit.alarm import auntil
from tests.testkit.forge import Secret, claims_of
from tests.testkit.raw_http import Poster

CHANNEL = "general"
READERS, POSTERS = 10, 4
PAUSE = 0.2
"""Seconds between two messages of one who posts."""
ALARM = 30.0


def token(sub: str, *rights: str) -> str:
    """Good for as long as a measurement may take."""
    return Secret().sign(claims_of(time.time(), sub=sub, rights=rights, exp=int(time.time()) + 900))


@dataclass
class Seen:
    """Of one window: seconds from a post to its reply and to each reader, and a word for each refusal."""

    replies: list[float] = field(default_factory=list)
    deliveries: list[float] = field(default_factory=list)
    refused: list[str] = field(default_factory=list)

    def add(self, other: Seen) -> None:
        """Both as if they were one window."""
        self.replies += other.replies
        self.deliveries += other.deliveries
        self.refused += other.refused

    def within(self, share: float) -> tuple[float, float]:
        """Seconds in which so many of the replies had come, and of the deliveries: `0.99` is the 99th percentile."""
        return centile(self.replies, share), centile(self.deliveries, share)


def centile(seconds: list[float], share: float) -> float:
    """By nearest rank: for 0.99, of a hundred, the last but one."""
    return sorted(seconds)[math.ceil(len(seconds) * share) - 1]


class Honest:
    """Ten who read one channel and four who post on it; newcomers who open a stream and read a page."""

    def __init__(self, port: int) -> None:
        self._port = port
        self._seen = Seen()
        self._last = [0] * READERS
        self._sent = 0
        self._posters = [Poster(token(f"poster {number}", CHANNEL)) for number in range(POSTERS)]

    async def window(self, rounds: int) -> Seen:
        """Each posts so many messages; what was seen until all of them had been read by all."""
        self._seen = seen = Seen()
        await asyncio.gather(*(self._post(poster, rounds) for poster in self._posters), self._newcomers(rounds // 4))
        await auntil(lambda: min(self._last) >= self._sent, "everybody has read all", alarm=ALARM)
        return seen

    async def _post(self, poster: Poster, rounds: int) -> None:
        for _ in range(rounds):
            began = time.monotonic()
            status, _, body = await poster.post(self._port, f"/channels/{CHANNEL}/messages", {"data": {"sent": began}})
            self._seen.replies.append(time.monotonic() - began)
            self._sent += status == 201
            if status != 201:
                self._seen.refused.append(f"post {status}: {body}")
            await asyncio.sleep(PAUSE)

    async def _newcomers(self, number: int) -> None:
        for _ in range(number):
            who = token("newcomer", CHANNEL)
            if (kind := await self._first_event(who)) != "hello":
                self._seen.refused.append(f"stream: {kind}")
            async with self._asked(who, f"/channels/{CHANNEL}/messages?limit=5") as reader:
                if b" 200 " not in (line := await reader.readline()):
                    self._seen.refused.append(f"history: {line!r}")
            await asyncio.sleep(PAUSE)

    async def _first_event(self, who: str) -> str:
        async with self._asked(who, f"/channels/{CHANNEL}/stream") as reader:
            while not (line := await reader.readline()).startswith(b"event: "):
                assert line, "closed"
            return line[7:].decode().strip()

    @asynccontextmanager
    async def reading(self) -> AsyncIterator[None]:
        """The readers read, and are greeted before anything is sent."""
        async with AsyncExitStack() as stack:
            tasks = []
            for number in range(READERS):
                reader = await stack.enter_async_context(
                    self._asked(token(f"reader {number}", CHANNEL), f"/channels/{CHANNEL}/stream")
                )
                while not (line := await reader.readline()).startswith(b"event: hello"):
                    if line.startswith(b"id: "):
                        self._last[number] = self._sent = int(line.split(b"-")[1])
                tasks.append(asyncio.create_task(self._read(number, reader)))
            yield
            for task in tasks:
                task.cancel()
            await asyncio.gather(*tasks, return_exceptions=True)
            for poster in self._posters:
                poster.close()

    async def _read(self, number: int, reader: asyncio.StreamReader) -> None:
        """Each message once, in order, and nothing that is no message."""
        while line := await reader.readline():
            now = time.monotonic()
            if line.startswith(b'data: {"id":'):
                message = json.loads(line[6:])
                seq = int(message["id"].split("-")[1])
                if seq != self._last[number] + 1:
                    self._seen.refused.append(f"reader {number}: {seq} after {self._last[number]}")
                self._last[number] = seq
                self._seen.deliveries.append(now - message["data"]["sent"])
            elif line.startswith((b"event: end", b"event: gap")):
                self._seen.refused.append(f"reader {number}: {line!r}")
        self._seen.refused.append(f"reader {number}: closed")

    @asynccontextmanager
    async def _asked(self, who: str, path: str) -> AsyncIterator[asyncio.StreamReader]:
        reader, writer = await asyncio.open_connection("127.0.0.1", self._port)
        lines = [f"GET {path} HTTP/1.1", "Host: localhost", f"Authorization: Bearer {who}", "", ""]
        writer.write("\r\n".join(lines).encode())
        try:
            yield reader
        finally:
            writer.transport.abort()


@dataclass
class Siege:
    """What honest clients saw during an attack, what just before it, and what the attacker got."""

    name: str
    quiet: Seen
    attacked: Seen
    statuses: dict[str, int]


async def besieged(port: int, attacks: Mapping[str, int]) -> AsyncIterator[Siege]:
    """For each attack a quiet window, and one during it, of so many messages of each who posts."""
    honest = Honest(port)
    async with honest.reading():
        await honest.window(max(attacks.values()))
        for name, rounds in attacks.items():
            quiet = await honest.window(rounds)
            argv = [sys.executable, "-m", "tests.testkit.attack", name, str(port), token("mallory", "m.*")]
            attacker = await asyncio.create_subprocess_exec(
                *argv, stdin=asyncio.subprocess.PIPE, stdout=asyncio.subprocess.PIPE
            )
            assert attacker.stdout is not None
            try:
                assert await attacker.stdout.readline() == b"attacking\n"
                attacked = await honest.window(rounds)
                told, _ = await attacker.communicate(b"")
            finally:
                if attacker.returncode is None:
                    attacker.kill()
                    await attacker.wait()
            yield Siege(name, quiet, attacked, json.loads(told))
