"""Many publishers and readers, 5 to 30 ms from the database, at processes that do not last: exactly once, in order."""

from __future__ import annotations

import asyncio
from contextlib import AsyncExitStack
from typing import TYPE_CHECKING

import pytest

from tests.faults import test_rotation as load
from tests.testkit.checker import Minimum
from tests.testkit.service import Service
from tests.testkit.upstash.place import upstash

if TYPE_CHECKING:
    from pathlib import Path

    import httpx

    from tests.testkit.upstash import EmulatorProcess

READERS, MESSAGES = 20, 1000
SETTINGS = {"GAPLESS_RETRY_MS": "50", "GAPLESS_CAP": "20000"}
EVERYTHING = {"messages": MESSAGES * READERS, "messages_each": MESSAGES, "published": MESSAGES, "readers": READERS}


@pytest.fixture(autouse=True)
def fewer(monkeypatch: pytest.MonkeyPatch) -> None:
    """Fewer readers and messages than over TCP: each costs more."""
    monkeypatch.setattr(load, "READERS", READERS)
    monkeypatch.setattr(load, "MESSAGES", MESSAGES)


def far_away(up: EmulatorProcess) -> None:
    """Every command, and the beginning of every subscription, takes 5 to 30 ms longer."""
    up.arm("delay", lo_ms=5, hi_ms=30)


@pytest.mark.real(seconds=15)
@pytest.mark.timeout(180)
async def test_readers_rotate_over_two_processes(tmp_path: Path, client: httpx.AsyncClient) -> None:
    with upstash(tmp_path) as place:
        env = place.env(**SETTINGS, GAPLESS_LIFETIME="1.2")
        async with Service(env) as left, Service(env) as right:
            far_away(place.up)
            crowd = load.Crowd(place.store, [left, right], client)
            async with crowd.reading():
                await load.publish(crowd, 6, rotations=load.ROTATIONS)
            assert place.up.hits()["delay"] >= MESSAGES / load.BATCH
    assert crowd.acked == MESSAGES
    verdict = crowd.verdict(Minimum(**EVERYTHING, reconnects_each=load.ROTATIONS))
    assert set(verdict.counts["ends"]) == {"deadline"}


@pytest.mark.real(seconds=15)
@pytest.mark.timeout(180)
async def test_one_of_two_processes_is_always_being_killed_and_replaced(
    tmp_path: Path, client: httpx.AsyncClient
) -> None:
    """SIGKILL in the middle of whatever it does; the next one starts cold, on its port."""
    with upstash(tmp_path) as place:
        async with AsyncExitStack() as stack:
            services = [Service(place.env(**SETTINGS)) for _ in range(2)]
            await asyncio.gather(*(stack.enter_async_context(service) for service in services))
            far_away(place.up)
            crowd = load.Crowd(place.store, services, client)
            async with crowd.reading():
                publishing = asyncio.create_task(load.publish(crowd, 8))
                await load.kill(crowd, services, 8)
                await publishing
    assert crowd.acked == MESSAGES
    crowd.verdict(Minimum(**EVERYTHING, cuts=30))
