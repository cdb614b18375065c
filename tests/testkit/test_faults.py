"""Slow, broken, silent: each fault does what it says, before an echo server and a real Valkey."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING

import pytest

from tests.testkit.alarm import auntil
from tests.testkit.echo import connected, echoing
from tests.testkit.fault_proxy import Blackhole, Cut, Delay, FaultProxy, Freeze, Jitter, MidFrame, Reset, Trickle

if TYPE_CHECKING:
    from tests.testkit.valkey import Valkey


# Slow


async def test_delay_adds_to_each_way_and_chunks_travel_together() -> None:
    loop = asyncio.get_running_loop()
    async with echoing() as (proxy, _), connected(proxy) as client:
        delay = proxy.arm(Delay(0.1), direction="down")
        begun, sent = loop.time(), bytes(range(100))
        for n in range(100):
            client.writer.write(sent[n : n + 1])
            await delay.fired(n + 1)
        assert await client.reader.readexactly(100) == sent
        took = loop.time() - begun
        assert 0.1 <= took < 10.0, "a hundred delays one after the other"
        assert proxy.hits == {"delay": 100}
        delay.disarm()
        proxy.arm(Delay(0.05))
        begun = loop.time()
        await client.ask(b"x", 1)
        assert loop.time() - begun >= 0.1


async def test_jitter_keeps_the_order() -> None:
    loop = asyncio.get_running_loop()
    async with echoing(seed=3) as (proxy, _), connected(proxy) as client:
        jitter = proxy.arm(Jitter(0.01, 0.05), direction="up")
        begun = loop.time()
        for n in range(20):
            client.writer.write(b"%02d" % n)
            await jitter.fired(n + 1)
        assert await client.reader.readexactly(40) == b"".join(b"%02d" % n for n in range(20))
        assert loop.time() - begun >= 0.01
        assert proxy.hits == {"jitter": 20}


async def test_trickle(valkey: Valkey) -> None:
    loop = asyncio.get_running_loop()
    async with FaultProxy(valkey.socket) as proxy, connected(proxy) as client:
        trickle = proxy.arm(Trickle(2, 0.02))
        begun = loop.time()
        pieces: list[bytes] = []
        client.writer.write(b"PING\r\n")
        while len(b"".join(pieces)) < 7:
            pieces.append(await client.reader.read(100))
        assert b"".join(pieces) == b"+PONG\r\n"
        assert len(pieces) >= 2
        assert loop.time() - begun >= 0.06
        assert trickle.hits == 1


# Broken


async def test_cut_is_a_clean_end_for_both_sides() -> None:
    async with echoing() as (proxy, echo), connected(proxy) as client:
        await client.ask(b"before", 6)
        proxy.arm(Cut())
        client.writer.write(b"lost")
        assert await client.reader.read() == b""
        await auntil(lambda: echo.ends, "the upstream's end")
        assert (echo.ends, echo.received, proxy.hits) == (["fin"], b"before", {"cut": 1})


async def test_cut_is_clean_though_the_client_goes_on_sending() -> None:
    async with echoing() as (proxy, _), connected(proxy) as client:
        proxy.arm(Cut())
        client.writer.write(bytes(10_000_000))
        assert await client.reader.read() == b""
        await client.writer.drain()  # swallowed, where a reset would break it


async def test_cut_on_the_way_back() -> None:
    async with echoing() as (proxy, echo), connected(proxy) as client:
        proxy.arm(Cut(), direction="down")
        client.writer.write(b"heard")
        assert await client.reader.read() == b""
        assert echo.received == b"heard"


async def test_reset_is_a_reset_for_both_sides() -> None:
    async with echoing() as (proxy, echo), connected(proxy) as client:
        await client.ask(b"before", 6)
        proxy.arm(Reset())
        client.writer.write(b"lost")
        with pytest.raises(ConnectionResetError):
            await client.reader.read()
        await auntil(lambda: echo.ends, "the upstream's end")
        assert (echo.ends, echo.received, proxy.hits) == (["rst"], b"before", {"reset": 1})


@pytest.mark.parametrize("how", ["fin", "rst"])
async def test_all_at_once(how: str) -> None:
    async with echoing() as (proxy, echo), connected(proxy) as one, connected(proxy) as two:
        for client in (one, two):
            await client.ask(b"x", 1)
        assert (proxy.cut_all() if how == "fin" else proxy.reset_all()) == 2
        for client in (one, two):
            if how == "fin":
                assert await client.reader.read() == b""
            else:
                with pytest.raises(ConnectionResetError):
                    await client.reader.read()
        await auntil(lambda: len(echo.ends) == 2, "both upstream ends")
        assert echo.ends == [how, how]
        assert proxy.hits == {"cut" if how == "fin" else "reset": 2}
        async with connected(proxy) as third:
            assert await third.ask(b"on", 2) == b"on"


@pytest.mark.parametrize("reset", [False, True])
async def test_cut_after_so_many_bytes_of_the_reply(valkey: Valkey, reset: bool) -> None:
    valkey.cli("SET", "k", "v" * 1000)
    whole = b"$1000\r\n" + b"v" * 1000 + b"\r\n"
    async with FaultProxy(valkey.socket) as proxy:
        torn = proxy.arm(MidFrame(after=500, reset=reset), connections=0)
        async with connected(proxy) as client:
            assert await client.ask(b"GET k\r\n", 500) == whole[:500]
            if reset:
                with pytest.raises(ConnectionResetError):
                    await client.reader.read()
            else:
                assert await client.reader.read() == b""
        async with connected(proxy) as client:
            assert await client.ask(b"GET k\r\n", len(whole)) == whole
        assert torn.hits == 1


async def test_bytes_count_from_the_arming_on_an_open_connection() -> None:
    async with echoing() as (proxy, _), connected(proxy) as client:
        await client.ask(b"12345", 5)
        torn = proxy.arm(MidFrame(after=3))
        client.writer.write(b"67")
        assert await client.reader.readexactly(2) == b"67"
        client.writer.write(b"89")
        assert await client.reader.read() == b"8"
        assert torn.hits == 1


async def test_cut_at_a_pattern_though_it_comes_in_pieces() -> None:
    async with echoing() as (proxy, _), connected(proxy) as client:
        proxy.arm(MidFrame(at=b"id: 7"))
        assert await client.ask(b"id: 1 id", 8) == b"id: 1 id"
        assert await client.ask(b": ", 2) == b": "
        client.writer.write(b"7\ndata")
        assert await client.reader.read() == b"7"
        assert proxy.hits == {"midframe": 1}


@pytest.mark.parametrize("wrong", [{}, {"after": 1, "at": b"x"}, {"at": b""}])
def test_a_torn_frame_needs_one_place(wrong: dict[str, int | bytes]) -> None:
    with pytest.raises(ValueError, match="either"):
        MidFrame(**wrong)  # type: ignore[arg-type]


# Silent


async def test_blackhole_swallows_and_stays_open(valkey: Valkey) -> None:
    async with FaultProxy(valkey.socket) as proxy, connected(proxy) as old:
        assert await old.ask(b"PING\r\n", 7) == b"+PONG\r\n"
        hole = proxy.arm(Blackhole())
        old.writer.write(b"SET k 1\r\n")
        await hole.fired()
        async with connected(proxy) as new:
            new.writer.write(b"SET k 2\r\n")
            await hole.fired(2)
            hole.disarm()
            async with connected(proxy) as third:
                assert await third.ask(b"GET k\r\n", 5) == b"$-1\r\n"
                old.writer.write(b"SET k 3\r\n")  # what fell in stays in
                assert await third.ask(b"GET k\r\n", 5) == b"$-1\r\n"
            for client in (old, new):
                assert not client.reader.at_eof()
                assert not client.writer.is_closing()
        assert proxy.hits == {"blackhole": 2}


async def test_a_subscription_falls_silent(valkey: Valkey) -> None:
    async with FaultProxy(valkey.socket) as proxy, connected(proxy) as client:
        await client.ask(b"SUBSCRIBE news\r\n", len(b"*3\r\n$9\r\nsubscribe\r\n$4\r\nnews\r\n:1\r\n"))
        hole = proxy.arm(Blackhole(), direction="down")
        assert valkey.cli("PUBLISH", "news", "unheard") == 1
        await hole.fired()
        client.writer.write(b"PING\r\n")
        with pytest.raises(TimeoutError):
            async with asyncio.timeout(0.1):
                await client.reader.read(1)


async def test_the_end_of_a_side_falls_into_the_hole_too() -> None:
    async with echoing() as (proxy, echo), connected(proxy) as other:
        await other.ask(b"x", 1)
        async with connected(proxy) as client:
            await client.ask(b"x", 1)
            hole = proxy.arm(Blackhole(), connections=1)
            client.writer.write(b"x")
            await hole.fired()
            client.writer.write_eof()
        assert await other.ask(b"y", 1) == b"y"
        assert echo.ends == []
        assert proxy.open == 2


async def test_freeze_holds_and_heals(valkey: Valkey) -> None:
    async with FaultProxy(valkey.socket) as proxy, connected(proxy) as client:
        frozen = proxy.arm(Freeze(), times=1)
        client.writer.write(b"SET k 1\r\n")
        await frozen.fired()
        client.writer.write(b"GET k\r\n")
        assert valkey.cli("GET", "k") is None
        async with connected(proxy) as other:
            assert await other.ask(b"PING\r\n", 7) == b"+PONG\r\n"
        frozen.disarm()
        assert await client.reader.readexactly(12) == b"+OK\r\n$1\r\n1\r\n"
        assert proxy.hits == {"freeze": 1}
