"""Everybody who reads and posts in a soak, on one store."""

from __future__ import annotations

import asyncio
from collections import Counter
from contextlib import AsyncExitStack, asynccontextmanager
from random import Random
from typing import TYPE_CHECKING

from tests.testkit.load_publisher import Publisher
from tests.testkit.poller import LongPoller
from tests.testkit.reader import EventSourceReader, Rotate
from tests.testkit.roaming_client import RoamingClient

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Callable, Mapping

    import httpx

    from tests.testkit.chaos.stage import Scene
    from tests.testkit.pace import Pace

Reader = EventSourceReader | LongPoller | RoamingClient
SHARES = {"stream": 0.3, "rotating": 0.3, "many": 0.1, "buffered": 0.07, "poll": 0.13, "wanderer": 0.1}
"""Of the readers: one channel; the same, and broken off all the time; several channels; turns; long polls; by turns."""
ROTATIONS = (Rotate(seconds=(0.3, 6)), Rotate(bytes=(300, 9000)), Rotate(messages=(1, 60)))


class Crowd:
    """`publishers` and `readers` of the scene's channels. The stage's last service is the buffered one."""

    def __init__(self, scene: Scene, client: httpx.AsyncClient, *, publishers: int, readers: int, seed: int) -> None:
        self.scene, self._client = scene, client
        self._dice = Random(f"crowd {seed}")
        *self._streaming, buffered = scene.stage.urls
        self._buffered = [buffered]
        self.kinds: Counter[str] = Counter()
        self.refused: list[str] = []
        """Answers to posts that nobody may give: a 500, say."""
        self.publishers = [self._publisher(n) for n in range(publishers)]
        wanted = [kind for kind, share in SHARES.items() for _ in range(max(1, round(share * readers)))]
        self.readers = [self._reader(kind, n) for n, kind in enumerate(wanted)]

    def _publisher(self, n: int) -> Publisher:
        channel = self.scene.channels[n % len(self.scene.channels)]
        urls = [*self._streaming, *self._buffered]
        return Publisher(
            self.scene.history, self._client, urls, channel, f"publisher {n}", keyed=n % 3 > 0, seed=self._seed()
        )

    def _reader(self, kind: str, n: int) -> Reader:
        self.kinds[kind] += 1
        chosen = self._dice.sample(self.scene.channels, 3 if kind == "many" else 1)
        log = self.scene.history.reader(f"{kind} {n}", chosen, must_reach_head=True)
        if kind == "wanderer":
            return RoamingClient(log, self._streaming, self._buffered, self._client, self._seed())
        if kind == "poll":
            return LongPoller(log, [*self._streaming, *self._buffered], client=self._client, seed=self._seed())
        urls = self._buffered if kind == "buffered" else self._streaming
        path = "/stream?" + "&".join(f"channel={name}" for name in chosen)
        streams = [url + (path if kind == "many" else f"/channels/{chosen[0]}/stream") for url in urls]
        rotate = self._dice.choice(ROTATIONS) if kind == "rotating" else None
        scale = 3.0 if kind == "buffered" else 0.2
        return EventSourceReader(
            log, streams, client=self._client, seed=self._seed(), rotate=rotate, retry_ms=500, retry_scale=scale
        )

    def _seed(self) -> int:
        return self._dice.getrandbits(32)

    @property
    def answers(self) -> Counter[str]:
        """What posts were answered with, as `Publisher.answers`."""
        return sum((publisher.answers for publisher in self.publishers), Counter())

    @asynccontextmanager
    async def reading(self) -> AsyncIterator[None]:
        """All are there."""
        async with AsyncExitStack() as stack:
            for reader in self.readers:
                await stack.enter_async_context(reader)
            yield

    async def publish(self, pace: Pace, over: Callable[[], bool]) -> None:
        """Each at this pace, singly and in small batches; what is keyed is posted until it is answered."""

        async def go_on(publisher: Publisher, dice: Random) -> None:
            while not over():
                posted = sum(publisher.answers.values())
                data = [f"{publisher.user} {posted} {n}" for n in range(dice.choice([1, 1, 1, 3]))]
                try:
                    await publisher.publish(*data)
                except AssertionError as error:
                    self.refused.append(str(error))
                await asyncio.sleep(dice.uniform(0.5, 1.5) * pace.seconds)

        async with asyncio.TaskGroup() as group:
            for publisher in self.publishers:
                group.create_task(go_on(publisher, Random(self._seed())))

    @property
    def stopped(self) -> list[str]:
        """Whoever met an answer that ends it all."""
        readers = [f"{reader.log.name}: {reader.stopped}" for reader in self.readers if reader.stopped]
        return readers + self.refused

    def cut(self) -> int:
        """Break off every open stream at once; how many there were."""
        return sum(reader.cut() for reader in self.readers if isinstance(reader, EventSourceReader))

    def late(self, heads: Mapping[str, str]) -> list[str]:
        """Who is not yet at these ids: neither has it seen them, nor does its cursor stand there."""
        return [reader.log.name for reader in self.readers if not _is_at(reader, heads)]


def _is_at(reader: Reader, heads: Mapping[str, str]) -> bool:
    """Whoever gets its first answer after the last message stands at the head, and is never sent it."""
    channels = reader.log.channels
    stands = dict(zip(channels, reader.cursor.split("."), strict=False))
    return all(heads[name] in (reader.at.get(name), stands.get(name)) for name in channels)
