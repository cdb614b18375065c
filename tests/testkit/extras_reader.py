"""Streams and turns on virtual time whose clients ask for more than messages."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Callable, MutableMapping
from contextlib import asynccontextmanager
from typing import Any

from gapless.channels.feed_settings import FeedSettings
from gapless.channels.feeds import Feeds
from gapless.delivery.buffered import BufferedResponse
from gapless.delivery.end import End
from gapless.delivery.session import Extras, Start, StreamLimits
from gapless.delivery.streaming import Stream
from gapless.log.cursor import parse_cursor
from gapless.log.namespaces import Feature
from tests.testkit.clock import advance, settle
from tests.testkit.event_stream import Event, EventStreamParser
from tests.testkit.model_store import ModelStore

LIVE = Extras(live=True)
OLDEST = Start(oldest=True)


class Reader:
    """What a stream has sent. `before_each`: called before each chunk is taken."""

    def __init__(self) -> None:
        self.body = b""
        self.before_each: Callable[[], None] = lambda: None
        self.open = asyncio.Event()
        self.open.set()

    async def send(self, message: MutableMapping[str, Any]) -> None:
        self.before_each()
        await self.open.wait()
        self.body += message["body"]

    @property
    def events(self) -> list[Event]:
        return list(EventStreamParser().feed(self.body))

    @property
    def kinds(self) -> list[str]:
        return [event.type for event in self.events]


@asynccontextmanager
async def reading(
    store: ModelStore, *channels: str, start: Start = OLDEST, extras: Extras = LIVE, reader: Reader | None = None
) -> AsyncIterator[Reader]:
    feeds = Feeds(store, FeedSettings(15, 10, 86_400, 64, features=tuple(Feature)), store.clock.now)
    reader = reader or Reader()
    async with feeds.open(channels or ("c",)) as opened:
        stream = Stream(opened, start, StreamLimits(240, 15, 700, 0.5), extras)
        task = asyncio.create_task(stream.run(reader.send))
        await settle()
        yield reader
        stream.stop(End.DEADLINE)
        await task
    await advance(60)
    await feeds.close()


async def turn(store: ModelStore, *channels: str, start: Start, extras: Extras = LIVE) -> list[Event]:
    """The events of one turn."""
    feeds = Feeds(store, FeedSettings(15, 0, 86_400, 64, freezes=True, features=tuple(Feature)), store.clock.now)
    async with feeds.open(channels or ("c",)) as opened:
        limits = StreamLimits(20, 15, 700, 0.5)
        return list(EventStreamParser().feed(await BufferedResponse(opened, start, limits, extras).collect()))


def kinds(events: list[Event]) -> list[str]:
    return [event.type for event in events]


def resume(events: list[Event], channels: int = 1) -> Start:
    return Start(cursor=parse_cursor(events[-1].last_event_id, channels))
