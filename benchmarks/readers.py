"""A process full of readers: `python -m benchmarks.readers URL COUNT`. Says `ready` once all have their first block.

In a URL with `{}` that stands for the reader's number; with a query of digits alone, which is not sent, modulo that.
Then reads commands from standard input: `wait N` prints, once N messages have come in altogether, one line of JSON with
their number and delays in milliseconds. The clock stops after the last byte.
"""

from __future__ import annotations

import asyncio
import json
import sys
import time
from typing import cast
from urllib.parse import urlsplit

import uvloop

MARK = b'"sent":'


class Tally:
    """What all readers of this process have seen."""

    def __init__(self) -> None:
        self.ready = 0
        self.bytes = 0
        self.delays: list[float] = []
        self.changed = asyncio.Event()


class Reader(asyncio.Protocol):
    """One stream. Finds the time of sending in each message; parses nothing else."""

    def __init__(self, path: str, tally: Tally) -> None:
        self._path = path
        self._tally = tally
        self._rest = b""
        self._opening: bytes | None = b""
        """What has come until the first block is whole; None afterwards."""

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        cast("asyncio.Transport", transport).write(  # uvloop's says by no class that it is one
            f"GET {self._path} HTTP/1.1\r\nHost: localhost\r\nAccept: text/event-stream\r\n\r\n".encode()
        )

    def data_received(self, data: bytes) -> None:
        now = time.time()
        if self._opening is not None:
            self._open(data)
        self._tally.bytes += len(data)
        data = self._rest + data
        end = data.rfind(b"\n") + 1
        data, self._rest = data[:end], data[end:]
        at = data.find(MARK)
        while at >= 0:
            stop = data.index(b"}", at)
            self._tally.delays.append(now - float(data[at + len(MARK) : stop]))
            at = data.find(MARK, stop)
        self._tally.changed.set()

    def _open(self, data: bytes) -> None:
        """Ready with the first block: a head alone says only that there will be a stream."""
        self._opening = (self._opening or b"") + data
        if not self._opening.startswith(b"HTTP/1.1 200 "):
            sys.exit(f"refused: {self._opening[:300]!r}")
        _, _, body = self._opening.partition(b"\r\n\r\n")
        if b"\n\n" in body or b"\n\r\n" in body:
            self._opening = None
            self._tally.ready += 1


def target(path: str, query: str, number: int) -> str:
    """What the reader of this number asks for."""
    if query.isdigit():
        number, query = number % int(query), ""
    return path.replace("{}", str(number)) + (query and f"?{query}")


async def main(url: str, count: int) -> None:
    """Connect, then answer commands."""
    loop, tally, parts = asyncio.get_running_loop(), Tally(), urlsplit(url)
    for number in range(count):
        path = target(parts.path, parts.query, number)
        await loop.create_connection(lambda path=path: Reader(path, tally), parts.hostname, parts.port)  # type: ignore[misc]
    await reached(tally, lambda: tally.ready >= count)
    print("ready", flush=True)
    while line := await asyncio.to_thread(sys.stdin.readline):
        wanted = int(line.split()[1])
        await reached(tally, lambda wanted=wanted: len(tally.delays) >= wanted)  # type: ignore[misc]
        delays, tally.delays = sorted(tally.delays), []
        told = {
            "count": len(delays),
            "bytes": tally.bytes,
            "p50": delays[len(delays) // 2] * 1e3,
            "p99": delays[len(delays) * 99 // 100] * 1e3,
        }
        print(json.dumps(told), flush=True)


async def reached(tally: Tally, enough) -> None:  # type: ignore[no-untyped-def]
    """Return once `enough()`, or after a minute with what there is."""
    try:
        async with asyncio.timeout(60):
            while not enough():
                tally.changed.clear()
                await tally.changed.wait()
    except TimeoutError:
        return


if __name__ == "__main__":
    uvloop.run(main(sys.argv[1], int(sys.argv[2])))
