"""A coroutine that begins at once, and gets a time limit only where it waits: a timer costs more than most need."""

from __future__ import annotations

import asyncio
import types
from collections.abc import Callable, Coroutine, Generator
from functools import partial
from typing import Any, TypeVar

T = TypeVar("T")


async def within(seconds: float, work: Coroutine[Any, Any, T], before: Callable[[], None] | None = None) -> T:
    """Its result. Raises TimeoutError where it waits and is not done after so many seconds. `before`: called where it
    begins to wait; it must not raise."""
    try:
        awaited = work.send(None)
    except StopIteration as done:
        result: T = done.value
        return result
    if before is not None:
        before()
    async with asyncio.timeout(seconds):
        return await finish(work, awaited)


@types.coroutine
def finish(work: Coroutine[Any, Any, T], awaited: Any) -> Generator[Any, None, T]:
    """Go on with a coroutine that has taken its first step and waits; `awaited` is what that step has yielded."""
    while True:
        try:
            yield awaited
        except BaseException as error:
            step = partial(work.throw, error)
        else:
            step = partial(work.send, None)
        try:
            awaited = step()
        except StopIteration as done:
            result: T = done.value
            return result
