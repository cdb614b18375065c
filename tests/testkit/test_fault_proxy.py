"""A proxy passes bytes unchanged, strikes where and as often as it is told, and counts what it struck."""

from __future__ import annotations

import asyncio
import socket
import struct
from typing import TYPE_CHECKING

import pytest

from tests.testkit.alarm import Alarm, auntil
from tests.testkit.echo import Client, connected, echoing
from tests.testkit.fault_proxy import Blackhole, Cut, Delay, FaultProxy, Freeze, MidFrame, Refuse, Trickle
from tests.testkit.listener import Listener
from tests.testkit.port import free_port

if TYPE_CHECKING:
    from tests.testkit.faults import Fault


# No fault


async def test_bytes_pass_unchanged_both_ways_and_ends_too() -> None:
    body = bytes(range(256)) * 8192
    async with echoing() as (proxy, echo), connected(proxy) as client:
        client.writer.write(body)
        client.writer.write_eof()
        assert await client.reader.read() == body
        await auntil(lambda: proxy.open == 0, "the link to end")
        assert echo.ends == ["fin"]
        assert (proxy.connections, proxy.hits) == (1, {})


async def test_many_connections_at_once() -> None:
    async def one(proxy: FaultProxy, n: int) -> bytes:
        async with connected(proxy) as client:
            return await client.ask(b"%3d" % n, 3)

    async with echoing() as (proxy, _):
        replies = await asyncio.gather(*(one(proxy, n) for n in range(50)))
    assert replies == [b"%3d" % n for n in range(50)]


async def test_a_slow_side_slows_the_other() -> None:
    async def never_reads(_: asyncio.StreamReader, __: asyncio.StreamWriter) -> None:
        await asyncio.Event().wait()

    sent = 0
    async with (
        Listener(never_reads) as listener,
        FaultProxy(("127.0.0.1", listener.port)) as proxy,
        connected(proxy) as client,
    ):
        with pytest.raises(TimeoutError):
            while sent < 1 << 27:
                client.writer.write(bytes(1 << 16))
                async with asyncio.timeout(0.5):
                    await client.writer.drain()
                sent += 1 << 16
        client.writer.transport.abort()
    assert sent < 1 << 26


async def test_an_upstream_that_is_not_there_is_told_by_a_reset() -> None:
    async with FaultProxy(("127.0.0.1", free_port())) as proxy, connected(proxy) as client:
        with pytest.raises(ConnectionResetError):
            await client.reader.read()
        assert proxy.unreachable == 1


async def test_a_side_that_breaks_off_breaks_the_other() -> None:
    async with echoing() as (proxy, echo), connected(proxy) as client:
        await client.ask(b"x", 1)
        sock = client.writer.get_extra_info("socket")
        sock.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
        client.writer.transport.abort()
        await auntil(lambda: echo.ends, "the upstream's end")
        assert echo.ends == ["rst"]


# Where and how often


async def test_only_the_connections_it_is_aimed_at() -> None:
    async def hears(proxy: FaultProxy) -> bool:
        async with connected(proxy) as client:
            client.writer.write(b"x")
            return await client.reader.read(1) == b"x"

    for aim in (1, {1}, range(1, 2), lambda index: index == 1):
        async with echoing() as (proxy, _):
            proxy.arm(Cut(), connections=aim)
            assert [await hears(proxy) for _ in range(3)] == [True, False, True]


async def struck(seed: int, fault: Fault) -> list[bool]:
    """Which of forty connections, one after the other, a fault of probability one half ends."""
    found = []
    async with echoing(seed) as (proxy, _):
        proxy.arm(fault, probability=0.5, direction="up")
        for _ in range(40):
            async with connected(proxy) as client:
                client.writer.write(b"x")
                try:
                    found.append(await client.reader.read(1) == b"")
                except ConnectionResetError:
                    found.append(True)
        assert sum(proxy.hits.values()) == sum(found)
    return found


async def test_chance_comes_from_the_seed_alone() -> None:
    for fault in (Cut(), Refuse()):
        first = await struck(1, fault)
        assert 8 <= sum(first) <= 32
        assert await struck(1, fault) == first
        assert await struck(2, fault) != first


@pytest.mark.parametrize("probability", [0, -1, 1.1])
async def test_an_impossible_probability(probability: float) -> None:
    with pytest.raises(ValueError, match="probability"):
        FaultProxy("nowhere").arm(Cut(), probability=probability)


# Fired or not


async def test_leaving_with_a_fault_that_never_fired_fails() -> None:
    with pytest.raises(AssertionError, match=r"never fired: Cut\(\) down and up; Delay.* down on connections 7$"):
        async with echoing() as (proxy, _), connected(proxy) as client:
            proxy.arm(Cut()).disarm()
            proxy.arm(Delay(1), direction="down", connections=7)
            proxy.arm(Delay(0.001))
            await client.ask(b"x", 1)


async def test_but_does_not_hide_another_failure() -> None:
    with pytest.raises(ZeroDivisionError):
        async with echoing() as (proxy, _):
            proxy.arm(Cut())
            raise ZeroDivisionError


async def test_waiting_for_a_fault_that_does_not_fire() -> None:
    with pytest.raises(Alarm, match=r"Cut\(\).* fired 0 times"):
        async with echoing() as (proxy, _):
            await proxy.arm(Cut()).fired(alarm=0.01)


async def test_disarming_all() -> None:
    async with echoing() as (proxy, _), connected(proxy) as client:
        frozen = proxy.arm(Freeze(), direction="up")
        client.writer.write(b"x")
        await frozen.fired()
        proxy.disarm_all()
        assert await client.reader.readexactly(1) == b"x"


async def test_a_mistake_in_the_proxy_itself_is_not_silent() -> None:
    with pytest.raises(ValueError, match="no path"):
        async with FaultProxy(None) as proxy, connected(proxy) as client:  # type: ignore[arg-type]
            with pytest.raises(ConnectionResetError):
                await client.reader.read()


async def test_all_tasks_end_with_the_proxy() -> None:
    before = asyncio.all_tasks()
    faults: list[tuple[Fault, int]] = [
        (Freeze(), 0),
        (Blackhole(), 1),
        (Blackhole(), 2),
        (Trickle(1, 60), 3),
        (Delay(60), 4),
    ]
    clients: list[Client] = []
    async with echoing() as (proxy, _):
        armed = [proxy.arm(fault, connections=index) for fault, index in faults]
        for one in armed:
            clients.append(Client(*await asyncio.open_connection(proxy.host, proxy.port)))
            clients[-1].writer.write(b"xyz")
            await one.fired()
        proxy.arm(MidFrame(after=1), connections=5)  # parts: its client never closes
        clients.append(Client(*await asyncio.open_connection(proxy.host, proxy.port)))
        assert await clients[-1].ask(b"xyz", 1) == b"x"
        assert proxy.open == 6
    assert asyncio.all_tasks() == before
    for client in clients:
        client.writer.transport.abort()
