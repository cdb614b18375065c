"""A connection that is closed before anything is written to it: a loss like any other, and nothing was sent."""

from __future__ import annotations

import asyncio
import contextlib
import sys
from typing import Any

import pytest
from redis.exceptions import ConnectionError

from gapless.log.errors import StoreUnavailable
from gapless.stores.redis.lines import Standalone, Unsent, send
from gapless.stores.redis.pubsub import Subscriptions
from gapless.stores.redis.url import read_url
from tests.stores.contract.publications import Heard
from tests.testkit.alarm import auntil
from tests.testkit.valkey import Valkey

pytestmark = pytest.mark.parametrize("anyio_backend", [pytest.param(("asyncio", {"use_uvloop": True}), id="uvloop")])

TOLD_LATE = sys.version_info >= (3, 12)
"""There a write to a closed connection is told as any loss is: whether it was sent is then unknown."""


async def test_a_command_was_not_sent(valkey: Valkey, monkeypatch: pytest.MonkeyPatch) -> None:
    line = Standalone(read_url(valkey.url))
    answering = line._answering

    async def closed_at_once() -> Any:
        connection = await answering()
        connection._writer.transport.abort()
        return connection

    try:
        assert await line.call(("RPUSH", "list", "1")) == 1
        with monkeypatch.context() as patch:
            patch.setattr(line, "_answering", closed_at_once)
            with pytest.raises(StoreUnavailable) as error:
                await line.call(("RPUSH", "list", "2"))
        assert not error.value.outcome_unknown
        assert await line.call(("RPUSH", "list", "2")) == 2
    finally:
        await line.close()


async def test_one_that_another_task_closes_meanwhile(valkey: Valkey) -> None:
    """Python 3.11 lets that task run before anything is written, 3.12 does not."""
    line = Standalone(read_url(valkey.url))
    try:
        connection: Any = await line.listen()
        sending = asyncio.create_task(send(connection, "PING"))
        await asyncio.sleep(0)
        await connection.disconnect(nowait=True)
        [told] = await asyncio.gather(sending, return_exceptions=True)
        assert type(told) is (Unsent if sys.version_info < (3, 12) else type(None))
    finally:
        await line.close()


async def test_one_that_is_closed_is_not_opened_again(valkey: Valkey) -> None:
    """redis-py would, and then two would read from it: whoever listened to the old one, and the new one's greeting."""
    line = Standalone(read_url(valkey.url))
    try:
        connection: Any = await line.listen()
        await connection.disconnect()
        with pytest.raises(Unsent):
            await send(connection, "UNSUBSCRIBE", b"a")
        assert not connection.is_connected
    finally:
        await line.close()


async def test_a_subscription_goes_on_elsewhere(valkey: Valkey) -> None:
    line = Standalone(read_url(valkey.url))
    subscriptions = Subscriptions(line.listen)
    first, second = Heard(), Heard()
    try:
        await subscriptions.subscribe("a", "a", first)
        assert subscriptions._session is not None
        connection: Any = subscriptions._session._connection
        connection._writer.transport.abort()
        with pytest.raises(ConnectionError if TOLD_LATE else Unsent):
            await send(connection, "PING")
        await subscriptions.subscribe("b", "b", second)
        await auntil(lambda: first.calls[-2:] == ["lost", "heard"], "the first hears again")
        assert valkey.cli("PUBSUB", "NUMSUB", "a", "b") == ["a", 1, "b", 1]
    finally:
        await subscriptions.close()
        await line.close()


async def test_who_closes_waits_for_no_cancellation_that_was_swallowed(valkey: Valkey) -> None:
    """As `wait_for` does before Python 3.12, where the connection is made at that very moment."""
    line = Standalone(read_url(valkey.url))

    async def connect() -> Any:
        if not connecting.is_set():
            connecting.set()
            with contextlib.suppress(asyncio.CancelledError):
                await asyncio.Event().wait()
        return await line.listen()

    connecting, subscriptions = asyncio.Event(), Subscriptions(connect)
    subscribing = asyncio.create_task(subscriptions.subscribe("a", "a", Heard()))
    await connecting.wait()
    subscribing.cancel()
    async with asyncio.timeout(10):
        await asyncio.wait([subscribing])
        await subscriptions.close()
    assert valkey.cli("PUBSUB", "NUMSUB", "a") == ["a", 0]
    await line.close()
