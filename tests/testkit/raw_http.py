"""HTTP by hand, over a socket, for what no client would send."""

from __future__ import annotations

import asyncio
import json
import re
import secrets
import socket
import struct
from collections.abc import Iterable
from typing import Any

import httpx

from tests.testkit.service import Service

ALARM = 10.0
"""Seconds after which a silent service hangs."""
POST = "/channels/raw/messages"


def connect(service: Service) -> socket.socket:
    assert service.port is not None
    return socket.create_connection(("127.0.0.1", service.port), ALARM)


def request(method: str, target: str | bytes, *headers: str | bytes, body: bytes = b"", host: bool = True) -> bytes:
    """A request as it is written; `Connection: close` unless a header says something else of it."""
    target = target if isinstance(target, bytes) else target.encode()
    lines = [header if isinstance(header, bytes) else header.encode("latin-1") for header in headers]
    lines = [b"Host: localhost", *lines] if host else lines
    if not any(line.lower().startswith(b"connection:") for line in lines):
        lines.append(b"Connection: close")
    return b"\r\n".join([method.encode() + b" " + target + b" HTTP/1.1", *lines, b"", body])


def post(body: bytes, *headers: str | bytes, target: str = POST) -> bytes:
    """A publish with this body."""
    return request(
        "POST", target, "Content-Type: application/json", f"Content-Length: {len(body)}", *headers, body=body
    )


CHUNKED = request("POST", POST, "Content-Type: application/json", "Transfer-Encoding: chunked", body=b"")
CHUNKS = b'5\r\n{"dat\r\n5;x=y\r\na":1}\r\n0\r\nTrailer: x\r\n\r\n'


def speak(service: Service, *pieces: bytes, finish: bool = False) -> bytes:
    """All that the service answers to these bytes until it closes. `finish`: we close our side after the last piece."""
    with connect(service) as sock:
        try:
            for piece in pieces:
                sock.sendall(piece)
            if finish:
                sock.shutdown(socket.SHUT_WR)
        except OSError:
            pass  # it has heard enough, and may have said why
        return b"".join(_received(sock))


def works(service: Service) -> bool:
    """It takes a message and gives it back."""
    url = f"{service.url}/channels/check/messages"
    posted = httpx.post(url, json={"data": "still here"}, trust_env=False)
    read = httpx.get(url, trust_env=False)
    return posted.status_code == 201 and posted.json()["id"] in read.text


def _received(sock: socket.socket) -> Iterable[bytes]:
    try:
        while piece := sock.recv(65_536):
            yield piece
    except TimeoutError:
        raise AssertionError(f"nothing for {ALARM:g} s, and no end") from None
    except OSError:
        return


def break_off(service: Service, *pieces: bytes) -> None:
    """Send, and vanish with a reset."""
    with connect(service) as sock:
        for piece in pieces:
            sock.sendall(piece)
        sock.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))


def statuses(reply: bytes) -> list[int]:
    """The status of each reply."""
    return [int(found) for found in re.findall(rb"HTTP/1\.1 (\d{3}) ", reply)]


def problem(reply: bytes) -> dict[str, object]:
    """The one problem that was answered."""
    head, _, body = reply.partition(b"\r\n\r\n")
    assert b"application/problem+json" in head, reply
    return dict(json.loads(body))


class Poster:
    """Posts over one connection for each service, for a tenth of what a real client costs."""

    def __init__(self, token: str) -> None:
        self._token = token
        self._open: dict[int, tuple[asyncio.StreamReader, asyncio.StreamWriter]] = {}

    async def post(self, port: int, path: str, message: object, key: str = "") -> tuple[int, dict[str, str], Any]:
        """Status, headers by small names, and the body. `key`: its Idempotency-Key."""
        if port not in self._open:
            self._open[port] = await asyncio.open_connection("127.0.0.1", port)
        reader, writer = self._open[port]
        body = json.dumps(message).encode()
        lines = [f"POST {path} HTTP/1.1", "Host: localhost", f"Authorization: Bearer {self._token}"]
        lines += ["Content-Type: application/json", f"Content-Length: {len(body)}", f"Idempotency-Key: {key}", "", ""]
        writer.write("\r\n".join(lines).encode() + body)
        head = (await reader.readuntil(b"\r\n\r\n")).decode().split("\r\n")
        headers = {name.lower(): value for name, _, value in (line.partition(": ") for line in head[1:-2])}
        return int(head[0].split(" ")[1]), headers, json.loads(await reader.readexactly(int(headers["content-length"])))

    async def post_surely(self, port: int, path: str, message: object) -> tuple[int, dict[str, str], Any]:
        """As often as it takes until it is known what became of it, where the machine is held up."""
        key = secrets.token_hex(8)
        while (reply := await self.post(port, path, message, key))[0] == 503:
            pass
        return reply

    def close(self) -> None:
        for _, writer in self._open.values():
            writer.close()
