"""A connection that rested is asked before it is trusted with a write that nobody may repeat."""

from __future__ import annotations

import asyncio

import pytest

from gapless.stores.redis import pool as redis_pool
from gapless.stores.redis.lines import Standalone
from gapless.stores.redis.url import read_url
from tests.testkit.alarm import auntil
from tests.testkit.fault_proxy import Blackhole, FaultProxy
from tests.testkit.valkey import Valkey


async def test_a_route_that_is_gone_costs_time_and_no_write(valkey: Valkey, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(redis_pool, "IDLE_CHECK_AFTER", 1e-9)
    async with FaultProxy(valkey.socket) as proxy:
        line = Standalone(read_url(f"redis://127.0.0.1:{proxy.port}"))
        try:
            assert await line.call(("RPUSH", "list", "1")) == 1
            swallowed = proxy.arm(Blackhole(), connections=0)
            async with asyncio.timeout(15):  # five times what the first connection is given to answer
                assert await line.call(("RPUSH", "list", "2")) == 2
            assert swallowed.hits == 1 and proxy.connections == 2
        finally:
            await line.close()
    assert valkey.cli("LLEN", "list") == 2


@pytest.mark.parametrize("how", ["cut_all", "reset_all"])
async def test_one_that_ended_while_nobody_looked_is_not_written_to(valkey: Valkey, how: str) -> None:
    async with FaultProxy(valkey.socket) as proxy:
        line = Standalone(read_url(f"redis://127.0.0.1:{proxy.port}"))
        try:
            for number in range(1, 5):
                assert await line.call(("RPUSH", "list", number)) == number
                assert getattr(proxy, how)() == 1
                await auntil(lambda: proxy.open == 0, "the connection is gone")
        finally:
            await line.close()


async def test_one_that_works_is_not_asked(valkey: Valkey) -> None:
    line = Standalone(read_url(valkey.url))
    try:
        await line.call(("GET", "a"))
        with valkey.count_commands(ignore=()) as counted:
            for _ in range(5):
                await line.call(("GET", "a"))
        assert counted["get"] == 5 and counted["ping"] <= 1  # the count's own connection may say PING
    finally:
        await line.close()


async def test_notices_are_not_mixed_with_replies_to_ping(valkey: Valkey, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(redis_pool, "IDLE_CHECK_AFTER", 1e-9)
    line = Standalone(read_url(valkey.url))
    try:
        connection = await line.listen()
        for name in (b"a", b"b"):
            await connection.send_command("SUBSCRIBE", name)
            told = await connection.read_response()
            assert told[:2] == [b"subscribe", name]
        await connection.disconnect()
    finally:
        await line.close()
