"""One publisher and one stream: `python -m benchmarks.lone URL COUNT` posts COUNT messages to the channel at URL.

Each is posted when the one before has arrived and its post is answered. Prints one line of JSON: milliseconds from a
post's first byte to the delivery. Blocking sockets: an event loop and an HTTP client would be slower than the server.
"""

from __future__ import annotations

import json
import socket
import sys
import time
from urllib.parse import SplitResult, urlsplit

HEAD = b"POST %b/messages HTTP/1.1\r\nHost: localhost\r\nContent-Type: application/json\r\nContent-Length: %d\r\n\r\n"
TEXT = b"x" * 50
TRIAL = 300
"""Messages before those that count: caches fill, and the channel's feed opens."""


def main(url: str, count: int) -> None:
    """Measure, and print."""
    parts = urlsplit(url)
    with connected(parts) as reader, connected(parts) as writer:
        reader.sendall(b"GET %b/stream HTTP/1.1\r\nHost: localhost\r\nAccept: text/event-stream\r\n\r\n" % path(parts))
        read_until(reader, lambda data: data.partition(b"\r\n\r\n")[2].strip())  # the stream's first block
        delays = sorted([once(reader, writer, parts, number) for number in range(TRIAL + count)][TRIAL:])
    print(json.dumps({"p50": delays[count // 2] * 1e3, "p99": delays[count * 99 // 100] * 1e3}))


def once(reader: socket.socket, writer: socket.socket, parts: SplitResult, number: int) -> float:
    """Seconds from post to delivery of one message."""
    mark = b'"number":%d}' % number
    body = b'{"data":{"text":"%b",%b}' % (TEXT, mark)
    began = time.perf_counter()
    writer.sendall(HEAD % (path(parts), len(body)) + body)
    read_until(reader, lambda data: mark in data)
    seconds = time.perf_counter() - began
    answer = read_until(writer, lambda data: b"\r\n\r\n" in data)
    assert answer.split(b" ", 2)[1] in (b"201", b"202"), answer
    return seconds


def read_until(connection: socket.socket, enough) -> bytes:  # type: ignore[no-untyped-def]
    """What comes, until it is `enough`."""
    data = b""
    while not enough(data):
        part = connection.recv(65_536)
        assert part, f"closed after {data!r:.300}"
        data += part
    return data


def connected(parts: SplitResult) -> socket.socket:
    """A connection that sends at once."""
    assert parts.hostname and parts.port
    connection = socket.create_connection((parts.hostname, parts.port), timeout=30)
    connection.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
    return connection


def path(parts: SplitResult) -> bytes:
    """The channel's."""
    return parts.path.encode()


if __name__ == "__main__":
    main(sys.argv[1], int(sys.argv[2]))
