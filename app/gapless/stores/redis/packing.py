"""Commands as bytes of Redis' protocol. With `hiredis` in C: redis-py's async connections read with it, and write in
Python, which took a twentieth of a publish."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from redis.connection import HiredisRespSerializer
from redis.utils import HIREDIS_AVAILABLE


def pack_all(connection: Any, commands: Sequence[tuple[Any, ...]]) -> list[bytes]:
    """These commands, one after the other, in as many pieces as come of it."""
    if not HIREDIS_AVAILABLE:
        pieces: list[bytes] = connection.pack_commands(commands)
        return pieces
    serializer = HiredisRespSerializer()
    return [piece for command in commands for piece in serializer.pack(*command)]
