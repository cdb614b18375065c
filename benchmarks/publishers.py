"""A process full of publishers: `python -m benchmarks.publishers URL COUNT CLIENTS` posts COUNT messages.

Each client posts one after another on a connection of its own. Prints the seconds that it took. No HTTP client, and no
streams of asyncio's: they would be slower than the server.
"""

from __future__ import annotations

import asyncio
import sys
import time
from typing import cast
from urllib.parse import urlsplit

import uvloop

BODY = b'{"data":{"text":"%b","sent":%.6f}}'
HEAD = b"POST %b HTTP/1.1\r\nHost: localhost\r\nContent-Type: application/json\r\nContent-Length: %d\r\n\r\n"
TEXT = b"x" * 50


class Client(asyncio.Protocol):
    """One of them: posts the next message when the last one is answered."""

    def __init__(self, path: bytes, count: int) -> None:
        self.done: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        self._path = path
        self._left = count
        self._answer = b""

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self._transport = cast("asyncio.Transport", transport)  # uvloop's says by no class that it is one
        self._post()

    def data_received(self, data: bytes) -> None:
        self._answer += data
        head, found, body = self._answer.partition(b"\r\n\r\n")
        if found and len(body) >= int(head.lower().partition(b"content-length: ")[2].split(b"\r\n")[0]):
            self._answer = b""
            if head.split(b" ", 2)[1] not in (b"201", b"202"):  # every one must be taken
                self._end(AssertionError(head))
            elif self._left:
                self._post()
            else:
                self._end(None)

    def connection_lost(self, error: Exception | None) -> None:
        self._end(error or ConnectionError("closed before the last answer"))

    def _post(self) -> None:
        self._left -= 1
        body = BODY % (TEXT, time.time())
        self._transport.write(HEAD % (self._path, len(body)) + body)

    def _end(self, error: Exception | None) -> None:
        if not self.done.done():
            self.done.set_result(None) if error is None else self.done.set_exception(error)
            self._transport.close()


async def main(url: str, count: int, clients: int) -> None:
    """All at once."""
    loop, parts = asyncio.get_running_loop(), urlsplit(url)
    assert parts.hostname and parts.port
    began = time.monotonic()
    made = [
        await loop.create_connection(lambda: Client(parts.path.encode(), count // clients), parts.hostname, parts.port)
        for _ in range(clients)
    ]
    await asyncio.gather(*(client.done for _, client in made))
    print(time.monotonic() - began)


if __name__ == "__main__":
    uvloop.run(main(sys.argv[1], int(sys.argv[2]), int(sys.argv[3])))
