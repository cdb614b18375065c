"""The head of an HTTP/1.1 message, as far as a front has to read and write it."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Self

if TYPE_CHECKING:
    import asyncio
    from collections.abc import Iterable


@dataclass(frozen=True)
class Head:
    """The first line and the header fields; names in lower case."""

    first: str
    fields: tuple[tuple[str, str], ...]

    @classmethod
    async def read(cls, reader: asyncio.StreamReader) -> Self:
        """The next head; IncompleteReadError if the peer closes instead."""
        text = (await reader.readuntil(b"\r\n\r\n"))[:-4].decode("latin-1")
        first, *lines = text.split("\r\n")
        pairs = (line.split(":", 1) for line in lines)
        return cls(first, tuple((name.strip().lower(), value.strip()) for name, value in pairs))

    @property
    def status(self) -> int:
        """The status code, where this heads an answer."""
        return int(self.first.split(" ")[1])

    def get(self, name: str) -> str | None:
        """The first field of that name."""
        return next((value for field, value in self.fields if field == name), None)

    def replace(self, dropped: tuple[str, ...], added: Iterable[tuple[str, str]]) -> Self:
        """This head without the fields whose names begin with one of `dropped`, and with `added`."""
        kept = tuple(field for field in self.fields if not field[0].startswith(dropped))
        return type(self)(self.first, (*kept, *added))

    def encode(self) -> bytes:
        lines = [self.first, *(f"{name}: {value}" for name, value in self.fields)]
        return ("\r\n".join(lines) + "\r\n\r\n").encode("latin-1")


class BodyEnd:
    """Finds the end of an answer's body in the bytes that pass."""

    def __init__(self, request: Head, answer: Head) -> None:
        empty = request.first.startswith("HEAD ") or answer.status in {204, 304}
        length = "0" if empty else answer.get("content-length")
        self._left = None if length is None else int(length)
        self._tail = b""

    def passes(self, data: bytes) -> None:
        if self._left is not None:
            self._left -= len(data)
        self._tail = (self._tail + data)[-7:]

    @property
    def reached(self) -> bool:
        """All of `content-length` has passed, or the last chunk."""
        return self._tail in {b"\r\n0\r\n\r\n", b"0\r\n\r\n"} if self._left is None else self._left <= 0


def reply(status: str, code: str) -> bytes:
    """A whole answer in which Vercel itself reports an error, e.g. `504 Gateway Timeout`."""
    body = f"An error occurred with this application.\n\n{code}\n".encode()
    fields = (
        ("content-type", "text/plain; charset=utf-8"),
        ("content-length", str(len(body))),
        ("connection", "close"),
        ("server", "Vercel"),
        ("x-vercel-error", code),
    )
    return Head(f"HTTP/1.1 {status}", fields).encode() + body
