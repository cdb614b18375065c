"""Counts the bytes of streams, where somebody wants to know: a stream itself knows nothing of it, and pays nothing."""

from __future__ import annotations

from starlette.types import Message, Send

from gapless.delivery.streaming import DirectWrite
from gapless.runtime.counters import Counters


def sized_send(send: Send, counters: Counters) -> Send:
    """`send`, and what it takes is counted."""

    async def sized(message: Message) -> None:
        await send(message)
        counters.bytes["stream"] += len(message.get("body", b""))

    return sized


def sized_write(write: DirectWrite, counters: Counters) -> DirectWrite:
    """`write`, and what it takes is counted."""

    def sized(block: bytes) -> bool:
        if not write(block):
            return False
        counters.bytes["stream"] += len(block)
        return True

    return sized
