"""Several processes of one service: what one is told, the others' readers hear; and how a process takes its leave."""

from __future__ import annotations

import asyncio
import os
import signal
from contextlib import AsyncExitStack
from typing import TYPE_CHECKING

import pytest
from anyio import to_thread

from tests.testkit.history import History
from tests.testkit.load_publisher import Publisher
from tests.testkit.service import Server, Service
from tests.testkit.visit import visit

if TYPE_CHECKING:
    from collections.abc import Callable

    import httpx

    from tests.testkit.valkey import Valkey

pytestmark = [pytest.mark.real(seconds=6), pytest.mark.timeout(180)]

HEARD = 5.0
"""Seconds: five times those within which the other process's readers must have a message."""


async def test_what_is_posted_at_one_process_is_heard_at_the_other(valkey: Valkey, client: httpx.AsyncClient) -> None:
    """With no recheck in sight, nothing but the notice can bring it."""
    env = {"REDIS_URL": valkey.url, "GAPLESS_RECHECK": "60"}
    async with Service(env) as left, Service(env) as right, AsyncExitStack() as stack:
        paths = ("channels/a/stream", "stream?channel=b&channel=a")
        urls = [f"{service.url}/{path}" for service in (left, right) for path in paths]
        readers = [await stack.enter_async_context(visit(url, client=client)) for url in urls]
        for reader in readers:
            await reader.next("hello")
        for number, service in enumerate([left, right] * 5):
            await Publisher(History(), client, service.url, "a", f"user {number}", keyed=False).publish(number)
            for reader in readers:
                assert await reader.messages(1, alarm=HEARD) == [number]


def leave_as_a_platform_says(service: Service) -> int:
    """SIGTERM to the process that was started, and to no other; the exit code."""
    os.kill(service.pid, signal.SIGTERM)
    return service.process.wait(alarm=30)


def leave_as_a_terminal_says(service: Service) -> int:
    """SIGTERM to all of them at once."""
    return service.terminate(alarm=30)


TWO = ("--workers", "2")
# As a platform ends it: services with workers, of `gapless serve` and of uvicorn, are ended in servers/.
LEAVES = {
    "gapless": ("gapless", (), leave_as_a_platform_says),
    "gapless, 2 workers, from a terminal": ("gapless", TWO, leave_as_a_terminal_says),
    "uvicorn": ("uvicorn", (), leave_as_a_platform_says),
}


@pytest.mark.parametrize(("server", "args", "leave"), LEAVES.values(), ids=LEAVES)
async def test_sigterm_ends_streams_with_a_word(
    server: Server,
    args: tuple[str, ...],
    leave: Callable[[Service], int],
    valkey: Valkey,
    client: httpx.AsyncClient,
) -> None:
    """Each gets what was posted before, then `end`, then an orderly end; and no stream holds the process up."""
    async with Service({"REDIS_URL": valkey.url}, server=server, args=args) as service, AsyncExitStack() as stack:
        url = f"{service.url}/channels/general/stream"
        readers = [await stack.enter_async_context(visit(url, client=client)) for _ in range(12)]
        for reader in readers:
            await reader.next("hello")
        await Publisher(History(), client, service.url, "general").publish(1)
        for reader in readers:
            assert await reader.messages(1, alarm=30) == [1]
        code = await to_thread.run_sync(leave, service)
        ends = await asyncio.gather(*(reader.rest() for reader in readers))
    assert [[(said.event, said.data, said.id) for said in end] for end in ends] == [
        [("end", {"reason": "shutdown"}, None)] for _ in readers
    ]
    assert all(reader.whole for reader in readers)
    assert all(700 <= (reader.retry or 0) <= 1050 for reader in readers)
    assert code in {0, -signal.SIGTERM}
