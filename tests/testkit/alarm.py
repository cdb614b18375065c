"""Waiting for a condition, with an alarm. The only place in the tests where anything pauses."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Awaitable
from typing import TYPE_CHECKING, TypeVar, overload

if TYPE_CHECKING:
    from collections.abc import Callable

T = TypeVar("T")

# How often a condition that cannot announce itself is looked at, in seconds.
_LOOK = 0.01


class Alarm(AssertionError):
    """What was waited for did not come in time."""


def until(check: Callable[[], T], what: str, *, alarm: float = 10.0, look: float = _LOOK) -> T:
    """Return the first true value of `check()`; `Alarm` naming `what` after `alarm` seconds.

    `look`: seconds between two looks, longer where each is dear.

    Blocks the calling thread. An exception of `check` is not swallowed.
    """
    end = time.monotonic() + alarm
    while not (value := check()):
        if time.monotonic() > end:
            raise Alarm(f"not within {alarm:g} s: {what} (last seen: {value!r})")
        time.sleep(look)
    return value


@overload
async def auntil(check: Callable[[], Awaitable[T]], what: str, *, alarm: float = 10.0, look: float = _LOOK) -> T: ...
@overload
async def auntil(check: Callable[[], T], what: str, *, alarm: float = 10.0, look: float = _LOOK) -> T: ...
async def auntil(check: Callable[[], object], what: str, *, alarm: float = 10.0, look: float = _LOOK) -> object:
    """`until` for async tests: `check` may be a plain function or a coroutine function.

    `look`: seconds between two looks, longer where each is dear.

    The alarm follows the running loop's clock, so on virtual time it is virtual seconds.
    """
    loop = asyncio.get_running_loop()
    end = loop.time() + alarm
    while True:
        seen = check()
        value: object = await seen if isinstance(seen, Awaitable) else seen
        if value:
            return value
        if loop.time() > end:
            raise Alarm(f"not within {alarm:g} s: {what} (last seen: {value!r})")
        await asyncio.sleep(look)
