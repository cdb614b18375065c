"""A real replica takes over that lacks what was acknowledged: who saw it and who did not end consistent, and are told.

On a channel that is busy and on one that then stays quiet: streams that are open, one that comes back to the promoted
replica with an id from beyond its end, one that had not come as far as what was lost, and a long poll.
"""

from __future__ import annotations

from contextlib import AsyncExitStack
from typing import TYPE_CHECKING
from uuid import uuid4

import pytest

from tests.testkit.alarm import auntil
from tests.testkit.chaos.stage import Kind, Scene, open_stage, two
from tests.testkit.checker import Minimum, check
from tests.testkit.load_publisher import Publisher
from tests.testkit.poller import LongPoller
from tests.testkit.reader import EventSourceReader
from tests.testkit.reader_log import Gap, ReaderLog

if TYPE_CHECKING:
    from pathlib import Path

    import httpx

pytestmark = [pytest.mark.real(seconds=12), pytest.mark.timeout(180)]

LOST = 4
"""Messages that the replica lacks, on each channel."""


class Audience:
    """The readers of one channel."""

    def __init__(self, scene: Scene, channel: str, client: httpx.AsyncClient) -> None:
        self.scene, self.channel, self.client = scene, channel, client
        self.ann = Publisher(scene.history, client, scene.stage.urls, channel)
        self.readers: dict[str, EventSourceReader | LongPoller] = {}
        self._stacks: dict[str, AsyncExitStack] = {}
        self.logs = {
            name: scene.history.reader(f"{channel} {name}", channel, must_reach_head=True)
            for name in ("here", "there", "ahead", "early", "poll")
        }

    async def come(self, name: str, after: str = "") -> None:
        """Read, at the first service or (`there`) at the second; the long poll at either."""
        log, urls, seen = self.logs[name], self.scene.stage.urls, len(self.logs[name].events)
        if log.events:
            log.reconnected(after)
        reader: EventSourceReader | LongPoller
        if name == "poll":
            reader = LongPoller(log, urls, client=self.client)
        else:
            url = f"{urls[name == 'there']}/channels/{self.channel}/stream"
            reader = EventSourceReader(log, url, client=self.client, retry_scale=0.1)
            reader.last_event_id = after
        self.readers[name] = reader
        self._stacks[name] = stack = AsyncExitStack()
        await stack.enter_async_context(reader)
        await auntil(lambda: len(log.events) > seen or name == "ahead", f"{name}: hello", alarm=30)

    async def go(self, name: str) -> str:
        """Break off; the cursor to come back with."""
        await self._stacks.pop(name).aclose()
        reader = self.readers.pop(name)
        assert isinstance(reader, EventSourceReader)
        return reader.last_event_id

    async def at(self, head: str) -> None:
        """Wait until all who are here stand there: by a message, or by a gap after which nothing is."""
        logs = [self.logs[name] for name in self.readers]
        await auntil(lambda: all(place(log) == head for log in logs), f"at {head}", alarm=60)

    async def told(self, *names: str) -> None:
        """Wait until these know of a gap."""
        await auntil(lambda: all(gaps(self.logs[name]) for name in names), f"told: {names}", alarm=60)

    async def leave(self) -> None:
        for stack in self._stacks.values():
            await stack.aclose()


def place(log: ReaderLog) -> str:
    """The last position that this one was told."""
    told = (getattr(event, "id" if isinstance(event, Gap) else "cursor", None) for event in reversed(log.events))
    return next(filter(None, told), "")


def gaps(log: ReaderLog) -> list[Gap]:
    return [event for event in log.events if isinstance(event, Gap)]


@pytest.mark.parametrize("kind", ["tcp", "upstash"])
async def test_a_replica_takes_over_that_lacks_what_was_acknowledged(
    kind: Kind, tmp_path: Path, client: httpx.AsyncClient
) -> None:
    async with open_stage(tmp_path, kind, two) as stage:
        scene = Scene(stage, [uuid4().hex, uuid4().hex])
        busy, quiet = (Audience(scene, channel, client) for channel in scene.channels)
        try:
            await play(scene, busy, quiet)
        finally:
            await busy.leave()
            await quiet.leave()
    check(scene.history, Minimum(messages=60, readers=10, gaps=8)).require()
    for audience in (busy, quiet):
        told = {name: [gap.reason for gap in gaps(log)] for name, log in audience.logs.items()}
        assert told == {name: [] if name == "early" else ["reset"] for name in told}


async def play(scene: Scene, busy: Audience, quiet: Audience) -> None:
    """Both channels lose their last messages; then only one goes on."""
    early: dict[Audience, str] = {}
    ahead: dict[Audience, str] = {}
    for audience in (busy, quiet):
        await audience.ann.publish_many(3)
        for name in audience.logs:
            await audience.come(name)
        await audience.ann.publish_many(3)
        await auntil(lambda a=audience: a.readers["early"].at, "early to have read", alarm=30)
        early[audience] = await audience.go("early")

    async def lose() -> None:
        for audience in (busy, quiet):
            await audience.at((await audience.ann.publish_many(LOST))[-1])
            ahead[audience] = await audience.go("ahead")

    lost = await scene.pair.fail_over(scene.channels, lose)
    assert {channel: len(ids) for channel, ids in lost.items()} == dict.fromkeys(scene.channels, LOST)
    for channel, ids in lost.items():
        scene.history.rewritten(channel, ids)
    await busy.ann.publish_many(LOST + 2)
    for audience in (busy, quiet):
        await audience.come("ahead", ahead[audience])
        await audience.told("here", "there", "ahead", "poll")
        await audience.come("early", early[audience])  # before, a feed that has not looked would show it what is lost
    await busy.at((await busy.ann.publish_many(2))[-1])
    await quiet.at(scene.pair.log(quiet.channel).entries()[-1].id)  # who was away, or polls, has to read once more
    scene.pair.log(quiet.channel).tell(scene.history)  # so quiet that nobody has anything to wait for
    scene.pair.log(busy.channel).tell(scene.history)
