"""Plays faults one after the other, each once in every round, in an order drawn anew."""

from __future__ import annotations

import asyncio
from collections import Counter
from random import Random
from typing import TYPE_CHECKING, Generic, TypeVar

from tests.testkit.alarm import Alarm

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from tests.testkit.injection import Injection

S = TypeVar("S")


class FaultInjector(Generic[S]):
    """`hits` counts by name what a fault hit, `missed` how often it hit nothing. `tell`: called after each fault."""

    def __init__(
        self,
        injections: Sequence[Injection[S]],
        scene: S,
        dice: Random,
        pause: tuple[float, float],
        tell: Callable[[str], None],
    ) -> None:
        self.hits: Counter[str] = Counter()
        self.missed: Counter[str] = Counter()
        self.injections, self._scene, self._dice, self._pause, self._tell = injections, scene, dice, pause, tell

    @property
    def idle(self) -> list[str]:
        """The names of faults that have not hit yet."""
        return [injection.name for injection in self.injections if not self.hits[injection.name]]

    async def play(self, over: Callable[[], bool], patience: Callable[[], bool]) -> None:
        """Until it is `over` and each has hit at least once, or there is no more `patience`."""
        while patience():
            for injection in self._dice.sample(self.injections, len(self.injections)):
                if over() and (not self.idle or not patience()):
                    return
                if over() and self.hits[injection.name]:
                    continue
                await asyncio.sleep(self._dice.uniform(*self._pause))
                await self._strike(injection)

    async def _strike(self, injection: Injection[S]) -> None:
        try:
            hits = await injection.strike(self._scene)
        except Alarm:
            hits = 0
        self.hits[injection.name] += hits
        self.missed[injection.name] += not hits
        self._tell(f"{injection.name}: {hits}")
