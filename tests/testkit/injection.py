"""A fault as it is played: it strikes, lasts, is healed, and says how often it hit."""

from __future__ import annotations

import asyncio
from dataclasses import dataclass
from typing import TYPE_CHECKING, Generic, TypeVar

from tests.testkit.alarm import auntil

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable
    from random import Random

S = TypeVar("S")
"""The scene: whatever a fault needs to strike."""


@dataclass(frozen=True)
class Injection(Generic[S]):
    """`strike` returns once all is healed; what it took out of logs it has written into the history.

    `gaps`: the reasons for which readers may be told of a gap; none where nothing leaves a log.
    """

    name: str
    strike: Callable[[S], Awaitable[int]]
    gaps: frozenset[str] = frozenset()


async def lasts(dice: Random, low: float, high: float) -> None:
    """For how long a fault lasts: seconds between these two, by the dice."""
    loop = asyncio.get_running_loop()
    end = loop.time() + dice.uniform(low, high)
    await auntil(lambda: loop.time() >= end, "time to pass", alarm=high * 10)
