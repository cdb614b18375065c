"""Requests that wait end when the server begins to stop: after ten seconds it would answer them with a 500.

A stream that is answered with a 500 is never asked for again by an EventSource.
"""

from __future__ import annotations

import asyncio
import contextlib
import sys
from collections.abc import AsyncIterator

from app.ending import end


class Leaving(Exception):
    """The server has begun to stop."""


@contextlib.asynccontextmanager
async def unless_leaving() -> AsyncIterator[None]:
    """Raises Leaving where the server begins to stop before what is inside is done, which is then cancelled."""
    if "uvicorn" not in sys.modules:  # nobody is there who could stop, as on Lambda
        yield
        return
    loop = asyncio.get_running_loop()
    limit = asyncio.timeout(None)

    def leave(told: asyncio.Task[None]) -> None:
        if not told.cancelled() and not limit.expired():
            with contextlib.suppress(RuntimeError):  # it was done a moment ago
                limit.reschedule(loop.time())

    watching = asyncio.create_task(_leaving())
    watching.add_done_callback(leave)
    try:
        async with limit:
            yield
    except TimeoutError:
        if not limit.expired():
            raise
        raise Leaving from None
    finally:
        await end(watching)


async def _leaving() -> None:
    """Return when the server begins to stop."""
    from sse_starlette import EventSourceResponse  # noqa: PLC0415 - imports uvicorn, too

    await EventSourceResponse._listen_for_exit_signal()
