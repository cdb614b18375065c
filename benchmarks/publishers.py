"""A process full of publishers: `python -m benchmarks.publishers URL COUNT CLIENTS` posts COUNT messages.

Each client posts one after another on a connection of its own. Prints the seconds that it took. Raw sockets: an HTTP
client would be slower than the server.
"""

from __future__ import annotations

import asyncio
import sys
import time
from urllib.parse import urlsplit

BODY = b'{"data":{"text":"%b","sent":%.6f}}'
HEAD = b"POST %b HTTP/1.1\r\nHost: localhost\r\nContent-Type: application/json\r\nContent-Length: %d\r\n\r\n"
TEXT = b"x" * 50


async def client(host: str, port: int, path: bytes, count: int) -> None:
    """Post so many; every one must be taken."""
    reader, writer = await asyncio.open_connection(host, port)
    for _ in range(count):
        body = BODY % (TEXT, time.time())
        writer.write(HEAD % (path, len(body)) + body)
        head = await reader.readuntil(b"\r\n\r\n")
        assert head.split(b" ", 2)[1] in (b"201", b"202"), head
        await reader.readexactly(int(head.lower().partition(b"content-length: ")[2].split(b"\r\n")[0]))
    writer.close()


async def main(url: str, count: int, clients: int) -> None:
    """All at once."""
    parts = urlsplit(url)
    assert parts.hostname and parts.port
    began = time.monotonic()
    each = (client(parts.hostname, parts.port, parts.path.encode(), count // clients) for _ in range(clients))
    await asyncio.gather(*each)
    print(time.monotonic() - began)


if __name__ == "__main__":
    asyncio.run(main(sys.argv[1], int(sys.argv[2]), int(sys.argv[3])))
