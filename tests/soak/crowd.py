"""Everybody who reads and posts in a soak, on one store."""

from __future__ import annotations

import asyncio
from collections import Counter
from contextlib import AsyncExitStack, asynccontextmanager
from random import Random
from typing import TYPE_CHECKING

import httpx

from tests.testkit.load_publisher import Publisher
from tests.testkit.poller import LongPoller
from tests.testkit.reader import EventSourceReader, Rotate
from tests.testkit.roaming_client import RoamingClient

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Callable, Mapping

    from tests.testkit.asides import Marks
    from tests.testkit.chaos.stage import Scene
    from tests.testkit.pace import Pace

Reader = EventSourceReader | LongPoller | RoamingClient
USERS = 12
"""As so many those are there who read: some have several streams on a channel."""
PASSERS = 4
"""So many are there as long as faults strike, each on a channel of its own."""
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
        self.users: dict[str, str] = {}
        """By the name of a reader who is there: as whom."""
        self.readers = [self._reader(kind, n) for n, kind in enumerate(wanted)]
        self.around: Counter[str] = Counter()
        """What signals and receipts were answered with."""

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
        query = "receipts=1"
        if kind != "buffered":
            self.users[log.name] = f"user {n % USERS}"
            query += f"&presence=1&user=user+{n % USERS}"
            log.around = kind != "rotating"  # at no moment need all of these be told what is so
        path = f"/channels/{chosen[0]}/stream?{query}"
        if kind == "many":
            path = f"/stream?channel={','.join(chosen)}&{query}"
        streams = [url + path for url in urls]
        rotate = self._dice.choice(ROTATIONS) if kind == "rotating" else None
        scale = 3.0 if kind == "buffered" else 0.2
        return EventSourceReader(
            log, streams, client=self._client, seed=self._seed(), rotate=rotate, retry_ms=500, retry_scale=scale
        )

    @asynccontextmanager
    async def passing(self) -> AsyncIterator[None]:
        """Some more are there, at the first service, and go for good."""
        async with AsyncExitStack() as stack:
            for n, channel in enumerate(self.scene.channels[:PASSERS]):
                log = self.scene.history.reader(f"passer-by {n}", channel)
                url = f"{self._streaming[0]}/channels/{channel}/stream?presence=1&user={log.name}"
                reader = EventSourceReader(log, url, client=self._client, seed=self._seed(), retry_ms=500)
                await stack.enter_async_context(reader)
            yield

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

    async def gossip(self, pace: Pace, over: Callable[[], bool]) -> None:
        """On each channel somebody says how far he has read, and sends signals."""

        async def go_on(publisher: Publisher, dice: Random) -> None:
            while not over():
                await asyncio.sleep(dice.uniform(1, 3) * pace.seconds)
                user = f"user {dice.randrange(USERS)}"
                if not publisher.ids or dice.random() < 0.3:
                    await self._say("POST", publisher, "signals", {"event": "typing", "user": user}, dice)
                else:
                    which, id_ = dice.choice(["delivered", "read"]), dice.choice(publisher.ids[-9:])
                    await self._say("PUT", publisher, "receipts", {which: id_, "user": user}, dice)

        async with asyncio.TaskGroup() as group:
            for publisher in self.publishers[: len(self.scene.channels)]:
                group.create_task(go_on(publisher, Random(self._seed())))

    async def _say(self, method: str, publisher: Publisher, what: str, body: dict[str, str], dice: Random) -> None:
        url = f"{dice.choice([*self._streaming, *self._buffered])}/channels/{publisher.channel}/{what}"
        try:
            reply = await self._client.request(method, url, json=body)
        except httpx.TransportError as error:
            self.around[type(error).__name__] += 1
            return
        self.around[f"{what} {reply.status_code}"] += 1
        if reply.status_code not in {200, 202, 429, 501, 503}:
            self.refused.append(f"{what}: {reply.status_code} {reply.text}")

    @property
    def stopped(self) -> list[str]:
        """Whoever met an answer that ends it all."""
        readers = [f"{reader.log.name}: {reader.stopped}" for reader in self.readers if reader.stopped]
        return readers + self.refused

    def cut(self) -> int:
        """Break off every open stream at once; how many there were."""
        return sum(reader.cut() for reader in self.readers if isinstance(reader, EventSourceReader))

    def present(self) -> dict[str, set[str]]:
        """By channel, who has a stream there."""
        found: dict[str, set[str]] = {name: set() for name in self.scene.channels}
        for reader in self.readers:
            if user := self.users.get(reader.log.name):
                for channel in reader.log.channels:
                    found[channel].add(user)
        return found

    def unsettled(self, marks: Mapping[str, Mapping[str, Marks]]) -> list[str]:
        """Who is not yet told what holds around the messages: these marks, and who has a stream."""
        users = self.present()
        return [
            reader.log.name
            for reader in self.readers
            if isinstance(reader, EventSourceReader) and reader.log.around
            for name in reader.log.channels
            if reader.around.marks.get(name) != marks[name] or reader.around.users.get(name) != users[name]
        ]

    def late(self, heads: Mapping[str, str]) -> list[str]:
        """Who is not yet at these ids: neither has it seen them, nor does its cursor stand there."""
        return [reader.log.name for reader in self.readers if not _is_at(reader, heads)]


def _is_at(reader: Reader, heads: Mapping[str, str]) -> bool:
    """Whoever gets its first answer after the last message stands at the head, and is never sent it."""
    channels = reader.log.channels
    stands = dict(zip(channels, reader.cursor.split("."), strict=False))
    return all(heads[name] in (reader.at.get(name), stands.get(name)) for name in channels)
