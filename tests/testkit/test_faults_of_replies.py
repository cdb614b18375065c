"""A lost reply, and a refused or redirected connection: each fault does what it says."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING

import pytest
from redis.asyncio import Redis
from redis.asyncio.retry import Retry
from redis.backoff import NoBackoff
from redis.exceptions import ConnectionError as RedisConnectionError

from tests.testkit.alarm import auntil
from tests.testkit.echo import Echo, connected, echoing
from tests.testkit.fault_proxy import DropReply, FaultProxy, Refuse
from tests.testkit.listener import Listener

if TYPE_CHECKING:
    from tests.testkit.valkey import Valkey


# Lost replies


@pytest.mark.parametrize("reset", [False, True])
async def test_the_reply_is_dropped_after_the_request_went_through(valkey: Valkey, reset: bool) -> None:
    async with FaultProxy(valkey.socket) as proxy:
        dropped = proxy.arm(DropReply(b"INCR", reset=reset), times=1)
        async with connected(proxy) as client:
            assert await client.ask(b"PING\r\n", 7) == b"+PONG\r\n"
            client.writer.write(b"INCR n\r\n")
            if reset:
                with pytest.raises(ConnectionResetError):
                    await client.reader.read()
            else:
                assert await client.reader.read() == b""
        assert valkey.cli("GET", "n") == "1"
        assert (dropped.hits, proxy.hits) == (1, {"dropreply": 1})
        async with connected(proxy) as client:
            assert await client.ask(b"INCR n\r\n", 4) == b":2\r\n"


async def test_a_long_reply_is_dropped_whole(valkey: Valkey) -> None:
    valkey.cli("SET", "k", "v" * 3_000_000)
    async with FaultProxy(valkey.socket) as proxy, connected(proxy) as client:
        proxy.arm(DropReply(b"GET k"))
        client.writer.write(b"GE")
        await client.writer.drain()
        client.writer.write(b"T k\r\n")
        assert await client.reader.read() == b""


async def test_an_upstream_that_closes_after_its_reply() -> None:
    async def once(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await reader.readline()
        writer.write(b"HTTP/1.0 200 OK\r\n\r\n")

    async with Listener(once) as listener, FaultProxy(("127.0.0.1", listener.port)) as proxy:
        dropped = proxy.arm(DropReply(quiet=60))
        async with connected(proxy) as client:
            client.writer.write(b"GET /\r\n")
            assert await client.reader.read() == b""
        assert dropped.hits == 1


async def test_where_no_reply_comes_none_is_dropped() -> None:
    answers = [b"", b"late"]

    async def once(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await reader.readline()
        writer.write(answers.pop(0))

    async with Listener(once) as listener, FaultProxy(("127.0.0.1", listener.port)) as proxy:
        dropped = proxy.arm(DropReply(), times=1)
        for hits in (0, 1):
            async with connected(proxy) as client:
                client.writer.write(b"GET /\r\n")
                assert await client.reader.read() == b""
            await auntil(lambda: proxy.open == 0, "the link to end")
            assert dropped.hits == hits


async def test_a_reply_in_pieces_is_awaited_whole() -> None:
    async def slowly(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await reader.readline()
        for _ in range(4):
            writer.write(b"piece")
            await asyncio.sleep(0.1)
        await reader.read()

    loop = asyncio.get_running_loop()
    async with Listener(slowly) as listener, FaultProxy(("127.0.0.1", listener.port)) as proxy:
        # A machine that stands still between two pieces is quiet, too: so long it does not.
        proxy.arm(DropReply(quiet=2.5))
        async with connected(proxy) as client:
            begun = loop.time()
            client.writer.write(b"GET /\r\n")
            assert await client.reader.read() == b""
            assert loop.time() - begun >= 2.8


async def test_a_real_client_sees_it_as_a_lost_connection(valkey: Valkey) -> None:
    async with FaultProxy(valkey.socket) as proxy:
        proxy.arm(DropReply(b"INCRBY"), connections=range(3))
        redis = Redis(host=proxy.host, port=proxy.port, retry=Retry(NoBackoff(), 0), socket_timeout=5)
        try:
            for _ in range(3):
                with pytest.raises(RedisConnectionError):
                    await redis.incrby("n", 1)
            assert await redis.incrby("n", 1) == 4
        finally:
            await redis.aclose()
        assert proxy.hits == {"dropreply": 3}


# Refused


async def test_refuse_resets_before_the_upstream_hears_of_it() -> None:
    async with echoing() as (proxy, echo):
        refused = proxy.arm(Refuse(), times=2)
        for _ in range(2):
            with pytest.raises(ConnectionResetError):
                async with connected(proxy) as client:
                    await client.reader.read()
        async with connected(proxy) as client:
            assert await client.ask(b"x", 1) == b"x"
        assert (refused.hits, echo.opened) == (2, 1)


async def test_a_closed_listener_comes_back_on_its_port() -> None:
    async with echoing() as (proxy, _), connected(proxy) as client:
        await client.ask(b"x", 1)
        proxy.stop_listening()
        port = proxy.port
        with pytest.raises(ConnectionRefusedError):
            await asyncio.open_connection(proxy.host, port)
        assert await client.ask(b"still", 5) == b"still"
        await proxy.listen()
        assert proxy.port == port
        async with connected(proxy) as other:
            assert await other.ask(b"again", 5) == b"again"


async def test_new_connections_go_where_it_is_redirected_and_open_ones_stay() -> None:
    async with echoing() as (proxy, old), Listener((new := Echo()).answer) as elsewhere, connected(proxy) as client:
        await client.ask(b"old", 3)
        proxy.redirect(("127.0.0.1", elsewhere.port))
        async with connected(proxy) as other:
            await other.ask(b"new", 3)
            await client.ask(b"old", 3)
        assert (old.received, new.received) == (b"oldold", b"new")
