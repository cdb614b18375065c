"""Who posts and who reads while a fault strikes: on one channel, at all services, each time at another."""

from __future__ import annotations

import asyncio
from contextlib import AsyncExitStack, asynccontextmanager
from typing import TYPE_CHECKING

from tests.testkit.alarm import Alarm, auntil
from tests.testkit.checker import Minimum, Verdict, check
from tests.testkit.load_publisher import Publisher
from tests.testkit.poller import LongPoller
from tests.testkit.reader import EventSourceReader, Rotate

if TYPE_CHECKING:
    from collections.abc import AsyncIterator

    import httpx

    from tests.testkit.chaos.stage import Scene
    from tests.testkit.raw_log import RawLog

PACE = 0.1
"""Seconds between two posts of one publisher."""
CAUGHT_UP = 60.0


class Traffic:
    """Four publishers, two without a `localId`; a stream at each service, one that moves about, a long poll."""

    def __init__(self, scene: Scene, channel: str, client: httpx.AsyncClient) -> None:
        self.scene, self.channel = scene, channel
        history, urls = scene.history, scene.stage.urls
        self.publishers = [
            Publisher(history, client, urls, channel, f"publisher {n}", keyed=n > 1, seed=n) for n in range(4)
        ]
        streams = [f"{url}/channels/{channel}/stream" for url in urls]
        places: list[tuple[str | list[str], Rotate | None]] = [(stream, None) for stream in streams]
        self.readers: list[EventSourceReader | LongPoller] = [
            EventSourceReader(
                history.reader(f"{channel} stream {n}", channel, must_reach_head=True),
                at,
                client=client,
                seed=n,
                rotate=rotate,
                retry_scale=0.1,
            )
            for n, (at, rotate) in enumerate([*places, (streams, Rotate(seconds=(0.2, 1)))])
        ]
        log = history.reader(f"{channel} poll", channel, must_reach_head=True)
        self.readers.append(LongPoller(log, urls, client=client))

    @property
    def acked(self) -> int:
        return sum(len(publisher.ids) for publisher in self.publishers)

    @asynccontextmanager
    async def reading(self) -> AsyncIterator[None]:
        """All have joined; at the end they are waited for, up to the newest message."""
        async with AsyncExitStack() as stack:
            for reader in self.readers:
                await stack.enter_async_context(reader)
            await auntil(lambda: all(reader.log.events for reader in self.readers), "all to have joined", alarm=30)
            yield
            log = self.scene.pair.log(self.channel)
            try:
                await auntil(lambda: not self._late(log), "all to be at the head", alarm=CAUGHT_UP, look=0.1)
            except Alarm as alarm:
                raise Alarm("\n".join([str(alarm), *self._late(log)])) from None
        log.tell(self.scene.history)

    def _late(self, log: RawLog) -> list[str]:
        """Who is not at the head, and what it saw last.

        The head is read at every look: a post that nobody answered may come to the log after all the others.
        """
        head = log.entries()[-1].id
        return [
            f"{reader.log.name}: at {at}, head {head}, cursor {reader.cursor}, stopped: {reader.stopped}, "
            f"last: {reader.log.events[-3:]}"
            for reader in self.readers
            if (at := reader.at.get(self.channel)) != head
        ]

    @asynccontextmanager
    async def publishing(self) -> AsyncIterator[None]:
        """Until what is inside is done."""
        stop = asyncio.Event()

        async def publish(publisher: Publisher) -> None:
            while not stop.is_set():
                await publisher.publish(f"{publisher.user} {sum(publisher.answers.values())}")
                await asyncio.sleep(PACE)

        async with asyncio.TaskGroup() as group:
            for publisher in self.publishers:
                group.create_task(publish(publisher))
            try:
                yield
            finally:
                stop.set()

    async def go_on(self, more: int = 15) -> None:
        """Wait until so many more posts were answered."""
        wanted = self.acked + more
        await auntil(lambda: self.acked >= wanted, "posts to be answered", alarm=CAUGHT_UP)

    def verdict(self) -> Verdict:
        """The checker's, which has found nothing wrong."""
        count = len(self.readers)
        verdict = check(self.scene.history, Minimum(messages=15 * count, published=30, readers=count, messages_each=15))
        verdict.require()
        return verdict
