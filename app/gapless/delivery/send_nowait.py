"""Sends that begin at once. A client that keeps up costs no task and no turn of the event loop."""

from __future__ import annotations

import asyncio
import sys
from collections.abc import Coroutine
from typing import Any

from gapless.runtime.within import finish

if sys.version_info >= (3, 12):

    def send_nowait(sending: Coroutine[Any, Any, None], loop: asyncio.AbstractEventLoop) -> asyncio.Future[None] | None:
        """Run a send at once. Returns None if it is done, else a task: the client does not keep up."""
        task = asyncio.Task(sending, loop=loop, eager_start=True)
        return None if task.done() and task.exception() is None else task

else:

    def send_nowait(sending: Coroutine[Any, Any, None], loop: asyncio.AbstractEventLoop) -> asyncio.Future[None] | None:
        """The same by hand: the first step here, and a task for the rest only where there is a rest."""
        try:
            awaited = sending.send(None)
        except StopIteration:
            return None
        except Exception as error:
            failed: asyncio.Future[None] = loop.create_future()
            failed.set_exception(error)
            return failed
        return loop.create_task(finish(sending, awaited))
