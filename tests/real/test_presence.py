"""Who is there, where processes die and sleep: everybody leaves who had a stream there alone, and nobody else."""

from __future__ import annotations

from contextlib import AsyncExitStack
from typing import TYPE_CHECKING

import pytest

from tests.testkit.asides import Present
from tests.testkit.history import History
from tests.testkit.reader import EventSourceReader
from tests.testkit.service import Service

if TYPE_CHECKING:
    import httpx

    from tests.testkit.reader_log import ReaderLog
    from tests.testkit.valkey import Valkey

pytestmark = [pytest.mark.real(seconds=30), pytest.mark.timeout(180)]

LEASE = 20.0
"""Seconds; each process extends it every 6, so none is so slow that its users leave."""
ROOM = "room:1"


def left(log: ReaderLog, since: int = 0) -> list[str]:
    """Who was told to leave, in order."""
    return [user for event in log.events[since:] if isinstance(event, Present) for user in event.left]


async def test_who_dies_or_sleeps_takes_only_his_own_along(valkey: Valkey, client: httpx.AsyncClient) -> None:
    """docs/protocol.md, 9.8. SIGKILL of one process and SIGSTOP of another, seen from one without users.

    Then the other wakes.
    """
    env = {
        "REDIS_URL": valkey.url,
        "GAPLESS_NAMESPACES": '{"room": {"presence": true}}',
        "GAPLESS_PRESENCE": f"{LEASE}",
    }
    history = History()
    async with AsyncExitStack() as stack:
        dies, sleeps, lives, sees = [await stack.enter_async_context(Service(env)) for _ in range(4)]

        async def open_stream(service: Service, query: str) -> EventSourceReader:
            url = f"{service.url}/channels/{ROOM}/stream?presence={query}"
            log = history.reader(f"{len(history.readers)} {query}", ROOM)
            return await stack.enter_async_context(EventSourceReader(log, url, client=client, retry_scale=0.2))

        for user, services in {
            "ann": [dies],
            "bob": [sleeps],
            "eve": [lives],
            "on the dead, too": [dies, lives],
            "on the sleeper, too": [sleeps, lives],
        }.items():
            for service in services:
                await open_stream(service, f"1&user={user.replace(' ', '+')}")
        there, slept = [await open_stream(service, "watch") for service in (sees, sleeps)]
        stay = {"eve", "on the dead, too", "on the sleeper, too"}

        async def until(watcher: EventSourceReader, users: set[str]) -> None:
            await watcher.until(lambda one: one.around.users.get(ROOM) == users, f"{sorted(users)}", alarm=5 * LEASE)

        for watcher in (there, slept):
            await until(watcher, stay | {"ann", "bob"})
        before = len(there.log.events)
        sleeps.pause()
        await dies.akill()
        await until(there, stay)
        assert sorted(left(there.log, before)) == ["ann", "bob"]
        sleeps.resume()
        for watcher in (there, slept):
            await until(watcher, stay | {"bob"})
        assert sorted(left(there.log, before)) == ["ann", "bob"]
        assert set(left(slept.log)) <= {"ann"}, "it lets nobody go of whom it has heard nothing for so long"
        told = (await client.get(f"{sees.url}/channels/{ROOM}/presence")).json()
        assert set(told["users"]) == stay | {"bob"}
