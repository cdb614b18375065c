"""Who reads and writes at one service at the end of a soak, each to an end that he knows. Nobody breaks off."""

from __future__ import annotations

import asyncio
import itertools
from time import monotonic
from typing import TYPE_CHECKING, Any, NamedTuple

from tests.soak.exact import Read
from tests.soak.turns import TurnReader
from tests.testkit.history import History, content_key
from tests.testkit.load_publisher import Post, Publisher
from tests.testkit.poller import LongPoller
from tests.testkit.reader import EventSourceReader
from tests.testkit.reader_log import End

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    import httpx

    from tests.testkit.reader_log import ReaderLog

NAMESPACES = {
    "quiet": {"cap": 40, "signals": True, "receipts": True, "presence": True},
    "limited": {"rate": 0.001, "burst": 5},
}
"""What the channels here need: logs that are soon trimmed, and a rate."""
PATIENCE = 60.0
"""Seconds for each thing that is waited for."""
MOST = 10
"""Messages in a batch."""
NONSENSE = "nonsense"
"""A cursor that says nothing."""
_NEVER = 1000.0
"""Times the wait before a reader comes back: it stays away."""


class Channels(NamedTuple):
    """`plain`: nothing befalls it. `trimmed`: more is written than it keeps. `wiped`: it begins anew. `replaced`: what
    is stored there is no log."""

    plain: str
    trimmed: str
    wiped: str
    replaced: str


class Books:
    """What all parties write down together: the checker's history, who reads how, and every post."""

    def __init__(self) -> None:
        self.history = History()
        self.ways: dict[str, Read] = {}
        self.publishers: list[Publisher] = []
        self._posts: list[Post] = []

    def reader(self, way: Read, channels: Sequence[str], start: str | None = None) -> ReaderLog:
        """The log of a reader who is new."""
        name = f"reader {len(self.ways)}"
        self.ways[name] = way
        return self.history.reader(name, channels, start)

    def post(self, post: Post) -> None:
        """One that no publisher has made."""
        self._posts.append(post)

    @property
    def posts(self) -> list[Post]:
        """All of them."""
        return [*self._posts, *(post for publisher in self.publishers for post in publisher.posts)]


class Party:
    """Those at the service at `url`. They `come`, `write`, are `level` with the logs' heads, and `leave`."""

    def __init__(self, books: Books, client: httpx.AsyncClient, url: str, channels: Channels, number: int) -> None:
        self._books, self._client, self._url, self._channels = books, client, url, channels
        self._number, self.user = number, f"quiet user {number}"
        self._numbers = itertools.count(1)
        self._publishers: dict[str, Publisher] = {}
        self._streams: list[EventSourceReader] = []
        self._askers: list[TurnReader | LongPoller] = []

    # --- reading

    async def come(self) -> None:
        """Streams of one and of several channels, turns and pages, each way also with a cursor that says nothing."""
        plain, trimmed, wiped, replaced = self._channels
        self._doomed = await self.stream([replaced])
        await self.stream([plain], start=NONSENSE)
        for channels in ([plain, trimmed, wiped], [wiped], [trimmed]):
            await self.stream(channels)
        for channel, start in ((plain, NONSENSE), (trimmed, None), (wiped, None)):
            await self._begin(self._turns(channel, start))
            await self._begin(self._pages(channel, start))

    async def stream(self, channels: Sequence[str], query: str = "", start: str | None = None) -> EventSourceReader:
        """One who has begun to read, or was told `end` at once."""
        return await self._read(self._books.reader(Read(self._url, "stream"), channels, start), query)

    async def _read(self, log: ReaderLog, query: str = "", cursor: str = "") -> EventSourceReader:
        where = f"{self._url}/stream?channel={','.join(log.channels)}{query}"
        reader = EventSourceReader(log, where, client=self._client, retry_scale=_NEVER)
        if cursor:
            log.reconnected(cursor)
            reader.last_event_id = cursor
        known = len(log.events)
        self._streams.append(await reader.__aenter__())
        await reader.until(lambda one: len(one.log.events) > known, "hello", alarm=PATIENCE)
        return reader

    async def go_away(self) -> EventSourceReader:
        """The one who reads only what will be trimmed leaves, and may come back."""
        reader = next(one for one in self._streams if one.log.channels == (self._channels.trimmed,))
        self._streams.remove(reader)
        await reader.__aexit__()
        return reader

    async def come_back(self, reader: EventSourceReader) -> EventSourceReader:
        """With the id that it had."""
        back = await self._read(reader.log, cursor=reader.cursor)
        back.at = reader.at | back.at
        return back

    def _turns(self, channel: str, start: str | None) -> TurnReader:
        log = self._books.reader(Read(self._url, "turn"), [channel], start)
        return TurnReader(log, f"{self._url}/channels/{channel}/stream", self._client)

    def _pages(self, channel: str, start: str | None) -> LongPoller:
        log = self._books.reader(Read(self._url, "page"), [channel], start)
        return LongPoller(log, [self._url], client=self._client, cursor=start or "")

    async def _begin(self, asker: TurnReader | LongPoller) -> None:
        self._askers.append(asker)
        await _ask(asker)

    async def level(self, heads: Mapping[str, str]) -> None:
        """All have read up to these ids. Who was told `end` before comes back."""
        for reader in [*self._streams]:
            await self._level(reader, {name: heads[name] for name in reader.log.channels})
        for asker in self._askers:
            [channel] = asker.log.channels
            while asker.at.get(channel) != heads[channel]:
                await _ask(asker)

    async def _level(self, reader: EventSourceReader, heads: Mapping[str, str]) -> None:
        def there(one: EventSourceReader) -> bool:
            return heads.items() <= one.at.items()

        while not there(reader):
            await reader.until(lambda one: _ended(one) or there(one), f"to be at {heads}", alarm=PATIENCE)
            if not there(reader):
                self._streams.remove(reader)
                await reader.__aexit__()
                await asyncio.sleep(reader.retry_ms / 1000)
                reader = await self.come_back(reader)

    async def doomed(self) -> None:
        """The stream of what is no log any more was told so, and leaves."""
        await self._doomed.until(_ended, "end", alarm=PATIENCE)
        self._streams.remove(self._doomed)
        await self._doomed.__aexit__()

    async def ended(self) -> None:
        """Each stream was told `end`."""
        for reader in self._streams:
            await reader.until(_ended, "end", alarm=PATIENCE)

    async def leave(self) -> None:
        """All streams are left by their clients, unless the service has ended them."""
        while self._streams:
            await self._streams.pop().__aexit__()

    # --- writing

    async def write(self) -> None:
        """Every answer that a post may have."""
        plain, *_, replaced = self._channels
        for channel in self._channels:
            if channel != replaced:
                await self.publish(channel, 6)
        told = {"data": "told twice", "user": self.user, "localId": f"{self.user} x"}
        ids = await self._post(plain, [told], "201")
        assert await self._post(plain, [told], "200") == ids
        await self._post(plain, [told | {"data": "and other words"}], "409")
        limited = f"limited:{plain.partition(':')[2]}-{self._number}"
        await self._post(limited, [{"data": n, "user": self.user} for n in range(5)], "201")
        await self._post(limited, [{"data": 5, "user": self.user}], "429")
        await self._post(replaced, [{"data": "in vain", "user": self.user}], "503 none")
        await _ask(self._turns(replaced, None))
        await self._beside("POST", f"{plain}/signals", {"event": "typing", "user": self.user})
        await self._beside("PUT", f"{plain}/receipts", {"read": ids[0], "user": self.user})

    async def publish(self, channel: str, count: int, *, size: int = 0) -> str:
        """So many, in batches of at most ten, of so many bytes each and some more; the id of the last."""
        said = [f"{next(self._numbers)} {'.' * size}" for _ in range(count)]
        publisher = self._publisher(channel)
        for first in range(0, count, MOST):
            ids = await publisher.publish(*said[first : first + MOST])
        return ids[-1]

    def _publisher(self, channel: str) -> Publisher:
        if channel not in self._publishers:
            made = Publisher(self._books.history, self._client, self._url, channel, self.user)
            self._publishers[channel] = made
            self._books.publishers.append(made)
        return self._publishers[channel]

    async def _post(self, channel: str, bodies: list[dict[str, Any]], wanted: str) -> list[str]:
        """One post, which must be answered like this; the ids, if any."""
        began, history = monotonic(), self._books.history
        body = bodies[0] if len(bodies) == 1 else bodies
        reply = await self._client.post(f"{self._url}/channels/{channel}/messages", json=body)
        told = reply.json()
        answer = f"{reply.status_code} {told['outcome']}" if reply.status_code == 503 else str(reply.status_code)
        assert answer == wanted, (answer, told)
        self._books.post(Post(self._url, began, monotonic(), len(bodies), wanted))
        ids = [one["id"] for one in (told if isinstance(told, list) else [told])] if reply.is_success else []
        outcome = {"201": "acked", "200": "duplicate"}.get(wanted, "refused")
        for n, one in enumerate(bodies):
            said = channel, one["user"], content_key(one["data"]), outcome, ids[n] if ids else None
            history.publish(*said, local_id=one.get("localId"))  # type: ignore[arg-type]
        return ids

    async def _beside(self, method: str, path: str, body: dict[str, Any]) -> None:
        reply = await self._client.request(method, f"{self._url}/channels/{path}", json=body)
        assert reply.is_success, (reply.status_code, reply.text)


async def _ask(asker: TurnReader | LongPoller) -> None:
    async with asyncio.timeout(PATIENCE):
        await (asker.ask() if isinstance(asker, TurnReader) else asker.poll())


def _ended(reader: EventSourceReader) -> bool:
    return isinstance(reader.log.events[-1], End)
