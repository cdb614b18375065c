"""The log rewritten behind everybody's back, as a failover does that loses what was acknowledged.

Entries are taken away and others appended under the same numbers: with their notices, without, or with notices that no
subscription lived to hear. Six readers each time: open ones, ones that are away and come back to the same process or to
a cold one, one that had not come as far as what was taken away, and ones on a stream of two channels.
"""

from __future__ import annotations

import asyncio
from contextlib import AsyncExitStack
from dataclasses import dataclass
from typing import TYPE_CHECKING, Self

import pytest

from tests.testkit.checker import Minimum, check
from tests.testkit.history import content_key
from tests.testkit.raw_log import Raw, chain, start
from tests.testkit.reader import EventSourceReader
from tests.testkit.reader_log import Gap, ReaderLog
from tests.testkit.room import SMALL, Room, Services, Where, many, one, open_services

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    import httpx

pytestmark = [pytest.mark.real(seconds=8), pytest.mark.timeout(180)]

OLD = 10
"""Messages before the rewriting."""
TAKEN = 3
"""Of which so many are taken away, where not all are."""
CAUGHT_UP = 30.0
"""Seconds: some times the recheck and the 3 s after which what the log does not hold is given up."""


@pytest.fixture(scope="module")
def services(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Services]:
    with open_services(tmp_path_factory.mktemp("rewritten"), SMALL | {"GAPLESS_RECHECK": "1"}) as services:
        yield services


# How it is rewritten: what is taken away (None: all), and what is appended to what is left


@dataclass(frozen=True)
class Rewriting:
    take: int | None
    put: Callable[[list[Raw]], list[Raw]]
    told: bool = False
    silent: bool = False
    posted: int = 0
    """So many messages are then posted at once, before anybody was told."""

    def apply(self, room: Room) -> list[str]:
        """Rewrite, and record it; the ids that were taken away."""
        old = room.log.entries()
        left = old[: -self.take] if self.take else []
        put = self.put(old)
        told_to = room.log.rewrite(self.take, put, told=self.told, silent=self.silent)
        assert (told_to > 0, told_to == 0) == (self.told, self.silent and bool(put)), f"{told_to} processes heard"
        gone = [raw.id for raw in old[len(left) :]]
        room.history.rewritten(room.channel, gone)
        for raw in put:
            room.history.publish(room.channel, "raw", content_key(raw.content["data"]), "acked", raw.id)
        return gone


def others(old: list[Raw]) -> list[Raw]:
    """As many as were taken away."""
    return chain(old[-TAKEN - 1], *(f"other {n}" for n in range(TAKEN)))


def more(old: list[Raw]) -> list[Raw]:
    """More than were taken away: nobody's position lies past the new end."""
    return chain(old[-TAKEN - 1], *(f"other {n}" for n in range(TAKEN + 2)))


def nothing(old: list[Raw]) -> list[Raw]:
    return []


def same_epoch(old: list[Raw]) -> list[Raw]:
    """The whole log anew, number by number: only the marks tell."""
    return chain(start(old[0].epoch, old[0].time), *(f"other {n}" for n in range(len(old))))


def next_epoch(old: list[Raw]) -> list[Raw]:
    """A new log, begun later."""
    return chain(start("zz" + old[0].epoch[2:], old[0].time), *(f"other {n}" for n in range(len(old))))


# Side by side where one does not disturb the other: a subscription that is cut is every channel's.
SILENTLY = {
    "others": Rewriting(TAKEN, others),
    "more": Rewriting(TAKEN, more),
    "nothing": Rewriting(TAKEN, nothing),
    "nothing at all": Rewriting(None, nothing),
    "same epoch": Rewriting(None, same_epoch),
    "next epoch": Rewriting(None, next_epoch),
}
BY_THE_SERVICE = {
    "as many": Rewriting(TAKEN, nothing, posted=TAKEN),
    "more": Rewriting(TAKEN, nothing, posted=TAKEN + 2),
    "a new log": Rewriting(None, nothing, posted=OLD),
}
WITH_NOTICE = {
    "others": Rewriting(TAKEN, others, told=True),
    "more": Rewriting(TAKEN, more, told=True),
    "same epoch": Rewriting(None, same_epoch, told=True),
    "next epoch": Rewriting(None, next_epoch, told=True),
}


class Audience:
    """The readers, how they go away and come back."""

    def __init__(self, services: Services, client: httpx.AsyncClient, *rooms: Room) -> None:
        self.readers: dict[str, EventSourceReader] = {}
        self._house = services
        self._client = client
        self._rooms = {room.channel: room for room in rooms}
        self._stacks: dict[str, AsyncExitStack] = {}

    async def come(self, log: ReaderLog, where: Where = "warm", after: str = "") -> None:
        """Read on after this cursor; returns once there was a stream."""
        rooms = [self._rooms[name] for name in log.channels]
        url = one(self._house, where, *rooms) if len(rooms) == 1 else many(self._house, where, *rooms)
        reader = EventSourceReader(log, url, client=self._client, retry_scale=0.01)
        reader.last_event_id = after
        if log.events:
            log.reconnected(after)
        seen = len(log.events)
        self.readers[log.name] = reader
        self._stacks[log.name] = stack = AsyncExitStack()
        await stack.enter_async_context(reader)
        await reader.until(lambda _: len(log.events) > seen, "hello")

    async def go(self, log: ReaderLog) -> str:
        """Break off; the cursor to come back with."""
        await self._stacks.pop(log.name).aclose()
        return self.readers.pop(log.name).last_event_id

    async def at(self, heads: dict[str, str]) -> None:
        """Wait until whoever is here has come so far."""
        for reader in self.readers.values():
            mine = {name: id_ for name, id_ in heads.items() if name in reader.log.channels}
            await reader.until_at(mine, alarm=CAUGHT_UP)

    async def told(self, log: ReaderLog) -> None:
        """Wait until this one knows of a gap."""
        await self.readers[log.name].until(lambda r: gaps(r.log), "told of a gap", alarm=CAUGHT_UP)

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(self, *_: object) -> None:
        for stack in self._stacks.values():
            await stack.aclose()


def gaps(log: ReaderLog) -> list[Gap]:
    return [event for event in log.events if isinstance(event, Gap)]


async def rewrite_before_readers(rewriting: Rewriting, services: Services, client: httpx.AsyncClient) -> None:
    """Each reader that saw what was taken away is told once; nobody loses anything."""
    room = Room(services, client)
    other = Room(services, client, room.history)
    alone, both = room.channel, (room.channel, other.channel)
    opened, away, to_cold, early = (room.history.reader(n, alone) for n in ("open", "away", "to cold", "early"))
    opened_both, away_both = (room.history.reader(n, both) for n in ("open on both", "away from both"))
    everyone = [opened, away, to_cold, early, opened_both, away_both]
    async with Audience(services, client, room, other) as audience:
        for log in everyone:
            await audience.come(log)
        heads = {other.channel: (await other.publish(2))[-1], alone: (await room.publish(OLD - TAKEN - 1))[-1]}
        await audience.at(heads)
        cursors = {early.name: await audience.go(early)}
        await audience.at({alone: (await room.publish(TAKEN + 1))[-1]})
        cursors |= {log.name: await audience.go(log) for log in (away, to_cold, away_both)}
        gone = rewriting.apply(room)
        await room.publish(rewriting.posted)
        for log, where in ((away, "warm"), (to_cold, "cold"), (early, "cold"), (away_both, "warm")):
            await audience.come(log, where, cursors[log.name])
        spared = [early] if len(gone) == TAKEN else []
        for log in everyone:
            if log not in spared:
                await audience.told(log)
        await audience.at({alone: (await room.publish(2))[-1], other.channel: (await other.publish(1))[-1]})
        room.log.tell(room.history)
        other.log.tell(room.history)
    check(room.history, Minimum(messages=60, readers=6, gaps=5)).require()
    assert {log.name: len(gaps(log)) for log in everyone} == {log.name: int(log not in spared) for log in everyone}
    assert {gap.reason for log in everyone for gap in gaps(log)} == {"reset"}


@pytest.mark.parametrize("rewritings", [SILENTLY, BY_THE_SERVICE, WITH_NOTICE], ids=["silently", "by posts", "told"])
async def test_entries_replaced(
    rewritings: dict[str, Rewriting], services: Services, client: httpx.AsyncClient
) -> None:
    async with asyncio.TaskGroup() as group:
        for name, rewriting in rewritings.items():
            group.create_task(rewrite_before_readers(rewriting, services, client), name=name)


@pytest.mark.parametrize("put", [others, next_epoch])
async def test_entries_replaced_while_the_subscription_is_cut(
    put: Callable[[list[Raw]], list[Raw]], services: Services, client: httpx.AsyncClient
) -> None:
    await rewrite_before_readers(Rewriting(TAKEN if put is others else None, put, silent=True), services, client)
