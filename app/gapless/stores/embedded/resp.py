"""Sends one Redis command over a unix socket, blocking: before there is an event loop or a client."""

from __future__ import annotations

import os
import socket
from typing import BinaryIO


def ask(path: str, *words: str, timeout: float = 2.0) -> str:
    """The reply to one command as text: of an array its last member, of an error its line with the leading `-`.

    Empty when the server closes instead of answering, as it does at SHUTDOWN. OSError (TimeoutError after `timeout`
    seconds of silence) when nobody answers, ValueError when it is not Redis that answers.
    """
    with socket.socket(socket.AF_UNIX) as connection:
        connection.settimeout(timeout)
        connection.connect(path)
        connection.sendall(_command(words))
        with connection.makefile("rb") as replies:
            return os.fsdecode(_reply(replies))


def _command(words: tuple[str, ...]) -> bytes:
    parts = [os.fsencode(word) for word in words]
    return b"*%d\r\n" % len(parts) + b"".join(b"$%d\r\n%s\r\n" % (len(part), part) for part in parts)


def _reply(replies: BinaryIO) -> bytes:
    line = replies.readline(65_536)
    kind, rest = line[:1], line[1:].rstrip(b"\r\n")
    if kind == b"$":
        return replies.read(int(rest) + 2)[:-2]
    if kind == b"*":
        return [_reply(replies) for _ in range(int(rest))][-1]
    if kind not in (b"+", b":", b"-", b""):
        raise ValueError("not a Redis reply")
    return line.rstrip(b"\r\n") if kind == b"-" else rest
