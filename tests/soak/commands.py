"""What a store says that it was sent: each command, and which script it runs. Not what scripts call inside."""

from __future__ import annotations

import asyncio
import hashlib
import re
from collections import Counter
from collections.abc import Awaitable, Callable
from contextlib import asynccontextmanager
from functools import cache
from importlib.resources import files
from typing import TYPE_CHECKING
from uuid import uuid4

from anyio import to_thread

if TYPE_CHECKING:
    from collections.abc import AsyncIterator

    from tests.testkit.chaos.stage import Stage
    from tests.testkit.valkey import Valkey

OURS = "-- a test's own\n"
"""How a script begins that is not to be counted."""
_FREE = {"PING"}
"""What keeps connections alive is counted by nobody."""
BYTES = "bytes"
_LINE = re.compile(r"\+[\d.]+ \[\d+ (\S+)\] (.*)")
_WORD = re.compile(r'"((?:[^"\\]|\\.)*)"')
_ESCAPE = re.compile(r"\\(?:x([0-9a-f]{2})|(.))")
_SHORT = {"n": "\n", "r": "\r", "t": "\t", "a": "\a", "b": "\b"}


Count = Callable[[], Awaitable[Counter[str]]]


@asynccontextmanager
async def store_counts(stage: Stage) -> AsyncIterator[Count]:
    """Tells how much the store was sent since the beginning, as /metrics has it:
    `gapless_store_commands_total{EVALSHA,publish}`, and the bytes of all."""
    if stage.up is None:
        async with _monitored(stage.pair.primary) as asked:
            yield _named(asked)
    else:
        up = stage.up
        before = await to_thread.run_sync(up.asked)

        async def grown() -> Counter[str]:
            asked = await to_thread.run_sync(up.asked) - before
            return Counter({command: count for command, count in asked.items() if command not in _FREE})

        yield _named(grown)


def _named(asked: Count) -> Count:
    async def named() -> Counter[str]:
        found: Counter[str] = Counter()
        for command, count in (await asked()).items():
            name, _, sha = command.partition(" ")
            labels = ",".join(filter(None, (name, _scripts().get(sha))))
            key = "gapless_store_bytes_total{sent}" if name == BYTES else f"gapless_store_commands_total{{{labels}}}"
            found[key] += count
        return found

    return named


@cache
def _scripts() -> dict[str, str]:
    """The product's scripts by their SHA-1, as they are and as Upstash locks them."""
    found = {}
    for file in files("gapless.stores").joinpath("lua").iterdir():
        for first in ("", "#!lua flags=allow-key-locking\n"):
            text = first + file.read_text(encoding="utf-8")
            found[_sha(text.encode())] = file.name.removesuffix(".lua")
    return found


def _sha(text: bytes) -> str:
    return hashlib.sha1(text, usedforsecurity=False).hexdigest()


@asynccontextmanager
async def _monitored(valkey: Valkey) -> AsyncIterator[Count]:
    """What the server was sent by whomever, in its own words (MONITOR)."""
    found: Counter[str] = Counter()
    marks: dict[str, asyncio.Event] = {}
    reader, writer = await asyncio.open_connection("127.0.0.1", valkey.port, limit=1 << 24)

    async def listen() -> None:
        while line := (await reader.readuntil(b"\r\n")).decode():
            words = words_of(line)
            if words[:1] == ["ECHO"]:
                marks[words[1]].set()
            elif words and words[0] not in _FREE:
                found[command_of(words)] += 1
                found[BYTES] += sum(map(len, words))

    async def asked() -> Counter[str]:
        mark = uuid4().hex
        marks[mark] = asyncio.Event()
        await to_thread.run_sync(valkey.cli, "ECHO", mark)
        await marks[mark].wait()
        return found.copy()

    writer.write(b"MONITOR\r\n")
    assert await reader.readline() == b"+OK\r\n"
    listening = asyncio.create_task(listen())
    try:
        yield asked
    finally:
        listening.cancel()
        writer.close()


def words_of(line: str) -> list[str]:
    """The words of a line of MONITOR, bytes above 127 as Latin-1; none for what is not to be counted."""
    match = _LINE.match(line)
    assert match, line
    words = [] if match[1] == "lua" else [_unescaped(word) for word in _WORD.findall(match[2])]
    return [] if len(words) > 1 and words[1].startswith(OURS) else words


def command_of(words: list[str]) -> str:
    """`NAME`, or `NAME sha` for a script."""
    name = words[0].upper()
    if name == "EVALSHA":
        return f"{name} {words[1]}"
    return f"{name} {_sha(words[1].encode('latin-1'))}" if name == "EVAL" else name


def _unescaped(word: str) -> str:
    return _ESCAPE.sub(lambda found: chr(int(found[1], 16)) if found[1] else _SHORT.get(found[2], found[2]), word)
