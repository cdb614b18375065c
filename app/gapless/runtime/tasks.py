"""Ends a task for certain.

Before Python 3.12 `asyncio.wait_for`, which redis-py calls at every command, swallows a cancellation that comes just
when its work is done. The task then goes on for ever, and so does every task that waits for its end.
"""

from __future__ import annotations

import asyncio
from typing import Any

AGAIN = 1.0
"""Seconds that a task has to put things away before it is cancelled once more."""


async def end(task: asyncio.Task[Any]) -> None:
    """Cancel the task, again and again, until it has ended. Raises what the task raised instead.

    A caller that is cancelled while it waits here is cancelled afterwards: nobody else would see to the task's end.
    """
    cancelled = False
    while not task.done():
        task.cancel()
        try:
            await asyncio.wait([task], timeout=AGAIN)
        except asyncio.CancelledError:
            cancelled = True
    if cancelled:
        raise asyncio.CancelledError
    if not task.cancelled() and (error := task.exception()) is not None:
        raise error
