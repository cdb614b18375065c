"""What a store says that it was sent: each command, and which script it runs. Not what scripts call inside."""

from __future__ import annotations

import asyncio
import hashlib
import re
from collections import Counter
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


@asynccontextmanager
async def store_counts(stage: Stage) -> AsyncIterator[Counter[str]]:
    """Filled in at the end: as /metrics has it, `gapless_store_commands_total{EVALSHA,publish}`; and their bytes."""
    found: Counter[str] = Counter()
    if stage.up is None:
        async with _monitored(stage.pair.primary) as asked:
            yield found
    else:
        before = await to_thread.run_sync(stage.up.asked)
        yield found
        asked = await to_thread.run_sync(stage.up.asked)
        asked.subtract(before)
    for command, count in asked.items():
        name, _, sha = command.partition(" ")
        if name == BYTES:
            found["gapless_store_bytes_total{sent}"] = count
        elif name not in _FREE:
            labels = ",".join(filter(None, (name, _scripts().get(sha))))
            found[f"gapless_store_commands_total{{{labels}}}"] += count


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
async def _monitored(valkey: Valkey) -> AsyncIterator[Counter[str]]:
    """Filled in at the end: what the server was sent by whomever, in its own words (MONITOR)."""
    found: Counter[str] = Counter()
    end = uuid4().hex
    reader, writer = await asyncio.open_connection("127.0.0.1", valkey.port, limit=1 << 24)

    async def listen() -> None:
        while end not in (line := (await reader.readuntil(b"\r\n")).decode()):
            if words := words_of(line):
                found[command_of(words)] += 1
                found[BYTES] += sum(map(len, words))

    writer.write(b"MONITOR\r\n")
    assert await reader.readline() == b"+OK\r\n"
    listening = asyncio.create_task(listen())
    try:
        yield found
        await to_thread.run_sync(valkey.cli, "ECHO", end)
        await listening
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
