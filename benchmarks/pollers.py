"""A process full of clients that poll: `python -m benchmarks.pollers URL FIRST CLIENTS MESSAGES`.

Each asks for what came after the id FIRST, then after where the last answer ended, until it has so many messages.
Prints one line of JSON: how many messages came to all, in how many answers, of how many bytes.
"""

from __future__ import annotations

import asyncio
import json
import re
import sys
from urllib.parse import urlsplit

_MESSAGE = re.compile(rb'"id":"[^"]*","channel"')
_POSITION = re.compile(rb'(?:"cursor":"|^id: )([0-9a-z-]+)', re.MULTILINE)


async def client(url: str, position: str, messages: int) -> tuple[int, int, int]:
    """Messages, answers and bytes."""
    parts = urlsplit(url)
    reader, writer = await asyncio.open_connection(parts.hostname, parts.port)
    count = turns = size = 0
    while count < messages:
        target = f"{parts.path}?{parts.query}&after={position}"
        writer.write(f"GET {target} HTTP/1.1\r\nHost: localhost\r\n\r\n".encode())
        head = await reader.readuntil(b"\r\n\r\n")
        assert head.split(b" ", 2)[1] == b"200", head
        body = await reader.readexactly(int(head.lower().partition(b"content-length: ")[2].split(b"\r\n")[0]))
        position = (_POSITION.findall(body) or [position.encode()])[-1].decode()
        count, turns, size = count + len(_MESSAGE.findall(body)), turns + 1, size + len(body)
    writer.close()
    return count, turns, size


async def main(url: str, first: str, clients: int, messages: int) -> None:
    """All at once, for two minutes at most."""
    async with asyncio.timeout(120):
        told = await asyncio.gather(*(client(url, first, messages) for _ in range(clients)))
    count, turns, size = map(sum, zip(*told, strict=True))
    print(json.dumps({"count": count, "turns": turns, "bytes": size}))


if __name__ == "__main__":
    asyncio.run(main(sys.argv[1], sys.argv[2], int(sys.argv[3]), int(sys.argv[4])))
