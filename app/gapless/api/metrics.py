"""What is shown at /metrics: the numbers of this process or, with several workers, those of all of them."""

from __future__ import annotations

from collections.abc import AsyncIterator, Callable
from contextlib import AsyncExitStack, asynccontextmanager
from pathlib import Path

from gapless.api.exposition import encode, labelled, registry_of, text_of
from gapless.api.neighbours import Neighbours
from gapless.runtime.counters import Counters
from gapless.runtime.loop_lag import LoopLag


class Metrics:
    """`folder`: where the workers of one service find each other; None where there is one process.

    `feeds` tells how many channels are read.
    """

    def __init__(self, counters: Counters, feeds: Callable[[], int], folder: str | None) -> None:
        self._counters = counters
        self.registry = registry_of(counters, feeds)
        self._neighbours = None if folder is None else Neighbours(Path(folder), lambda: text_of(self.registry))

    @asynccontextmanager
    async def kept(self) -> AsyncIterator[None]:
        """As long as the process serves: the loop's lag is measured, and its neighbours may ask."""
        async with AsyncExitStack() as closing:
            closing.callback(LoopLag(self._counters.loop_lag).stop)
            if self._neighbours is not None:
                await closing.enter_async_context(self._neighbours.told())
            yield

    async def show(self, accept: str) -> tuple[bytes, str]:
        """The text, and its content type. `accept`: the header of this name."""
        if self._neighbours is None:
            return encode(self.registry, accept)
        return encode(labelled(await self._neighbours.ask()), accept)
