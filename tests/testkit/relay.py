"""Bytes from one connection to another and back, until either side ends."""

from __future__ import annotations

import asyncio
from contextlib import suppress

from tests.testkit.listener import close

End = tuple[asyncio.StreamReader, asyncio.StreamWriter]


async def pump(left: End, right: End) -> None:
    """Copy both ways until one side ends or breaks, then close both. Errors of the wire end it quietly."""
    directions = {
        asyncio.ensure_future(_copy(left[0], right[1])),
        asyncio.ensure_future(_copy(right[0], left[1])),
    }
    try:
        await asyncio.wait(directions, return_when=asyncio.FIRST_COMPLETED)
    finally:
        # Both before the first await, where a second cancellation may strike.
        left[1].close()
        right[1].close()
        for direction in directions:
            direction.cancel()
        await asyncio.gather(*directions, return_exceptions=True)
        await close(left[1])
        await close(right[1])


async def _copy(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    with suppress(OSError):
        while data := await reader.read(65_536):
            writer.write(data)
            await writer.drain()
