"""Clients of the app in the test's own process: streams that live on, turns, long polls. Each keeps all laws."""

from __future__ import annotations

import asyncio
import json
from typing import TYPE_CHECKING, Any

import httpx

from tests.model.around import Around
from tests.model.follower import Follower
from tests.testkit.event_stream import EventStreamParser

if TYPE_CHECKING:
    from collections.abc import MutableMapping, Sequence

    from fastapi import FastAPI

    from tests.model.truth import Truth
    from tests.testkit.event_stream import Event

GARBAGE = "no-cursor"


async def ask(app: FastAPI, method: str, path: str, **request: Any) -> httpx.Response:
    """One request, whole."""
    transport = httpx.ASGITransport(app, client=("127.0.0.1", 4711))
    async with httpx.AsyncClient(transport=transport, base_url="http://localhost") as client:
        return await client.request(method, path, **request)


class Ear:
    """The client's side of ASGI: what has come of one answer."""

    def __init__(self, last_event_id: str) -> None:
        self.events: list[Event] = []
        self.came = asyncio.Event()
        self.left = asyncio.Event()
        self._parser = EventStreamParser(last_event_id)
        self._asked = False

    async def receive(self) -> MutableMapping[str, Any]:
        """A request without a body, and then silence until the client leaves."""
        if not self._asked:
            self._asked = True
            return {"type": "http.request", "body": b"", "more_body": False}
        await self.left.wait()
        return {"type": "http.disconnect"}

    async def send(self, message: MutableMapping[str, Any]) -> None:
        self.events += self._parser.feed(bytes(message.get("body", b"")))
        if self.events:
            self.came.set()


class Client:
    """Reads some channels; `cursor` is what it comes back with."""

    def __init__(self, truths: Sequence[Truth]) -> None:
        self.followers = {truth.channel: Follower(truth) for truth in truths}
        self.cursor = ""
        self._untold: list[dict[str, Any]] = []

    @property
    def level(self) -> bool:
        """It has everything there is, as far as it has read."""
        return all(follower.truth.at_end(follower.place) for follower in self.followers.values())

    def heed(self, event: Event) -> None:
        """One event of a stream."""
        told = json.loads(event.data)
        if event.type == "hello":
            self._untold = []
            self._greeted(told["cursor"])
        elif event.type == "gap":  # of several at once only the last has an id, for all of them
            self._untold.append(told)
            while event.has_id and self._untold:
                gap = self._untold.pop(0)
                self.followers[gap["channel"]].gap(gap, self._of(gap["channel"], event.last_event_id))
        elif event.type == "message":
            self.followers[told["channel"]].message(told)
            if event.has_id:
                assert self._of(told["channel"], event.last_event_id) == told["id"], event
        else:
            assert not event.has_id, event
            self._beside(event.type, told)
        self.cursor = event.last_event_id

    def _beside(self, kind: str, told: dict[str, Any]) -> None:
        """Something around the messages: turns get signals, and nothing else that they did not ask for."""
        assert kind == "signal", kind

    def _greeted(self, cursor: str | None) -> None:
        assert (cursor is None) == (self.cursor == GARBAGE), cursor
        for follower, place in zip(self.followers.values(), (cursor or "").split("."), strict=False):
            if cursor:
                follower.hello(place)

    def _of(self, channel: str, cursor: str) -> str:
        places = cursor.split(".")
        assert len(places) == len(self.followers), cursor
        return places[list(self.followers).index(channel)]

    def path(self, query: str = "") -> str:
        """Of the stream."""
        if len(self.followers) == 1:
            return f"/channels/{next(iter(self.followers))}/stream?{query}"
        return f"/stream?{'&'.join(f'channel={name}' for name in self.followers)}&{query}"


class StreamClient(Client):
    """A stream that stays open, on which `user` is there; `read` looks at what has come."""

    def __init__(self, truths: Sequence[Truth], user: str) -> None:
        super().__init__(truths)
        self.user = user
        self.around = {truth.channel: Around() for truth in truths}
        self._live: Ear | None = None
        self._task: asyncio.Task[None] | None = None
        self._read = 0

    async def open(self, app: FastAPI, query: str = "") -> None:
        """Come (back), and return when it is greeted."""
        self._live, self._read = Ear(self.cursor), 0
        scope = self._scope(query)
        self._task = asyncio.create_task(app(scope, self._live.receive, self._live.send))
        async with asyncio.timeout(20):
            await self._live.came.wait()

    def _scope(self, query: str) -> MutableMapping[str, Any]:
        path, _, asked = self.path(f"{query}&receipts=1&presence=1&user={self.user}").partition("?")
        headers = [(b"host", b"localhost")]
        if self.cursor:
            headers.append((b"last-event-id", self.cursor.encode()))
        scope: dict[str, Any] = {"type": "http", "asgi": {"version": "3.0"}, "http_version": "1.1", "method": "GET"}
        scope |= {"scheme": "http", "path": path, "raw_path": path.encode(), "query_string": asked.encode()}
        return scope | {"root_path": "", "headers": headers, "client": ("127.0.0.1", 4711), "server": ("localhost", 80)}

    def _greeted(self, cursor: str | None) -> None:
        super()._greeted(cursor)
        for around in self.around.values():
            around.hello()

    def _beside(self, kind: str, told: dict[str, Any]) -> None:
        self.around[told["channel"]].heed(kind, told, lossy=self.followers[told["channel"]].truth.forgotten)

    @property
    def here(self) -> bool:
        return self._task is not None

    def read(self) -> None:
        """Hold what has come since against the laws."""
        if self._live is not None:
            assert self._task is not None
            events, self._read = self._live.events[self._read :], len(self._live.events)
            for event in events:
                assert event.type != "end", event
                self.heed(event)
            assert not self._task.done(), "the stream has ended"

    async def cut(self) -> None:
        """Leave, having read all that came."""
        if self._live is not None and self._task is not None:
            self.read()
            self._live.left.set()
            async with asyncio.timeout(20):
                await self._task
        self._live = self._task = None


class TurnClient(Client):
    """One whole answer after the other."""

    async def turn(self, app: FastAPI) -> None:
        """One of them."""
        headers = {"Last-Event-ID": self.cursor} if self.cursor else {}
        body = (await ask(app, "GET", self.path(), headers=headers)).content
        *events, last = EventStreamParser(self.cursor).feed(body)
        assert last.type == "end", body
        for event in events:
            self.heed(event)


class PollClient(Client):
    """Pages after its place, of one channel."""

    async def poll(self, app: FastAPI, limit: int) -> None:
        """One page, without waiting."""
        [(channel, follower)] = self.followers.items()
        query = {"after": self.cursor, "wait": 0} if self.cursor else {}
        reply = await ask(app, "GET", f"/channels/{channel}/messages", params={"limit": limit, **query})
        assert reply.status_code == 200, reply.text
        page = reply.json()
        if not self.cursor:  # the newest page: its first message is where this reader begins
            begin = follower.truth.made[self._place(page["oldest"])].before if page["messages"] else page["cursor"]
            follower.hello(str(begin))
        if page["gap"] is not None:
            first = page["messages"][0]["id"] if page["messages"] else None
            follower.gap(page["gap"], str(follower.truth.made[self._place(first)].before) if first else page["cursor"])
        for message in page["messages"]:
            follower.message(message)
        self.cursor = page["cursor"]
        assert str(follower.place) == self.cursor, page

    def _place(self, id_: str) -> Any:
        [follower] = self.followers.values()
        return next(place for place in follower.truth.made if str(place) == id_)
