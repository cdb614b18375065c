"""A hand that strikes: one blow after the other, each once in every round, in an order drawn anew."""

from __future__ import annotations

import asyncio
from collections import Counter
from random import Random
from typing import TYPE_CHECKING

from tests.support.alarm import Alarm

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from tests.faults.blow import Blow
    from tests.faults.stage import Scene


class Hand:
    """`hits` counts by name what was hit, `missed` when nothing was. `tell`: of each blow, when it is over."""

    def __init__(
        self, blows: Sequence[Blow], scene: Scene, dice: Random, pause: tuple[float, float], tell: Callable[[str], None]
    ) -> None:
        self.hits: Counter[str] = Counter()
        self.missed: Counter[str] = Counter()
        self.blows, self._scene, self._dice, self._pause, self._tell = blows, scene, dice, pause, tell

    @property
    def idle(self) -> list[str]:
        """The names of blows that have not hit yet."""
        return [blow.name for blow in self.blows if not self.hits[blow.name]]

    async def play(self, over: Callable[[], bool], patience: Callable[[], bool]) -> None:
        """Until it is `over` and each has hit at least once, or there is no more `patience`."""
        while patience():
            for blow in self._dice.sample(self.blows, len(self.blows)):
                if over() and (not self.idle or not patience()):
                    return
                if over() and self.hits[blow.name]:
                    continue
                await asyncio.sleep(self._dice.uniform(*self._pause))
                await self._strike(blow)

    async def _strike(self, blow: Blow) -> None:
        try:
            hits = await blow.strike(self._scene)
        except Alarm:
            hits = 0
        self.hits[blow.name] += hits
        self.missed[blow.name] += not hits
        self._tell(f"{blow.name}: {hits}")
