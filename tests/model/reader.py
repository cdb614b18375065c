"""A reader of one channel that holds every block of its stream against the laws of `tests/model/test_model.py`."""

from __future__ import annotations

import asyncio
import json
from typing import TYPE_CHECKING

from gapless.delivery.session import PLAIN, Extras
from gapless.delivery.streaming import Start, Stream, StreamLimits
from gapless.log.cursor import Position, parse_cursor, parse_position
from tests.model.around import Around

if TYPE_CHECKING:
    from gapless.delivery.end import End
    from gapless.log.entries import Entry
    from tests.model.world import World

TERMS = StreamLimits(lifetime=100_000, heartbeat=15, retry_ms=700, random=0.5)


class Reader:
    """A client that reconnects with the last id it saw."""

    def __init__(self, world: World, process: int, user: str) -> None:
        self.world = world
        self.process = process
        self.user = user
        self.around = Around()
        self.cursor: str | None = None
        self.position: Position | None = None
        self.since_gap: list[Position] = []
        self.told: list[str] = []
        self.task: asyncio.Task[End] | None = None
        self._rest = ""

    @property
    def here(self) -> bool:
        """It has a stream."""
        return self.task is not None

    async def connect(self) -> None:
        ready = asyncio.Event()
        self.task = asyncio.create_task(self._read(ready))
        await ready.wait()

    async def _read(self, ready: asyncio.Event) -> End:
        self._rest = ""
        cursor = None if self.cursor is None else parse_cursor(self.cursor, 1)
        async with self.world.feeds[self.process].open(["c"]) as feeds:
            extras = Extras(receipts=True, presence=True, user=self.user) if self.world.around else PLAIN
            stream = Stream(feeds, Start(cursor=cursor), TERMS, extras)
            ready.set()
            try:
                return await stream.run(self._take)  # type: ignore[arg-type]
            finally:
                stream.abandon()

    async def cut(self) -> None:
        """The connection is gone, at whatever moment."""
        if self.task is not None:
            self.task.cancel()
            await asyncio.gather(self.task, return_exceptions=True)
        self.task = None

    async def _take(self, message: dict[str, bytes]) -> None:
        if self.world.dice.random() < 0.02:
            await asyncio.sleep(self.world.dice.random() * 3)  # a slow client
        self._rest += message["body"].decode()
        *blocks, self._rest = self._rest.split("\n\n")
        for block in blocks:
            fields = dict(line.split(": ", 1) for line in block.split("\n") if not line.startswith(":"))
            try:
                self._heed(fields.get("event", "message"), fields)
            except AssertionError as error:  # the stream would take it for a client that is gone
                self.world.broken.append(error)
                raise
            self.cursor = fields.get("id", self.cursor)

    def _heed(self, event: str, fields: dict[str, str]) -> None:
        data = json.loads(fields["data"])
        self.around.heed(event, data, lossy=self.world.gossip.lossy)
        if event == "hello":
            self.around.hello()
            if self.position is None:
                self.position = parse_position(data["cursor"])
        elif event == "gap":
            self._heed_gap(data, parse_position(fields["id"]))
        elif event == "message":
            self._heed_message(self.world.store.made[data["id"]])

    def _heed_gap(self, data: dict[str, object], resume: Position | None) -> None:
        assert self.position is not None
        assert resume is not None
        self.told.append(f"gap {data['reason']} at {self.position}, on from {resume}")
        if data["reason"] == "trimmed":
            assert resume.epoch == self.position.epoch or self.position.nowhere
            before = 0 if self.position.nowhere else self.position.seq
            assert data["missed"] == resume.seq - before, self.story("wrong count")
        else:
            assert not self.world.holds(self.position), self.story("a false reset")
        self.position = resume
        self.since_gap = []
        self.world.failovers.told(self, str(data["reason"]))

    def _heed_message(self, entry: Entry) -> None:
        assert self.position is not None
        self.told.append(f"message {entry.position}")
        first = self.position.nowhere and entry.position.seq == 1
        assert first or entry.before == self.position, self.story(f"{entry.position} does not follow")
        self.position = entry.position
        self.since_gap.append(entry.position)

    def story(self, what: str) -> str:
        """What this reader and the log went through."""
        return "\n".join(
            [f"seed {self.world.seed}: {what}; at {self.position}", *self.told[-12:], *self.world.story[-25:]]
        )
