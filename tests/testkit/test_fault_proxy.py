"""Each fault does what it says, before an echo server on TCP and a real Valkey on a unix socket, and is counted."""

from __future__ import annotations

import asyncio
import socket
import struct
from contextlib import asynccontextmanager, suppress
from typing import TYPE_CHECKING

import pytest
from redis.asyncio import Redis
from redis.asyncio.retry import Retry
from redis.backoff import NoBackoff
from redis.exceptions import ConnectionError as RedisConnectionError

from tests.testkit.alarm import Alarm, auntil
from tests.testkit.fault_proxy import (
    Blackhole,
    Cut,
    Delay,
    DropReply,
    FaultProxy,
    Freeze,
    Jitter,
    MidFrame,
    Refuse,
    Reset,
    Trickle,
)
from tests.testkit.listener import Listener
from tests.testkit.port import free_port

if TYPE_CHECKING:
    from collections.abc import AsyncIterator

    from tests.testkit.faults import Fault
    from tests.testkit.valkey import Valkey


class Client:
    """A plain TCP client."""

    def __init__(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self.reader, self.writer = reader, writer

    async def ask(self, request: bytes, size: int) -> bytes:
        """Send, and read exactly so many bytes."""
        self.writer.write(request)
        return await self.reader.readexactly(size)


@asynccontextmanager
async def connected(proxy: FaultProxy) -> AsyncIterator[Client]:
    reader, writer = await asyncio.open_connection(proxy.host, proxy.port)
    try:
        yield Client(reader, writer)
    finally:
        writer.close()
        with suppress(OSError):
            await writer.wait_closed()


class Echo:
    """Sends back what it gets, chunk by chunk, and keeps count."""

    def __init__(self) -> None:
        self.received = b""
        self.opened = 0
        self.ends: list[str] = []

    async def answer(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self.opened += 1
        try:
            while chunk := await reader.read(65_536):
                self.received += chunk
                writer.write(chunk)
                await writer.drain()
        except ConnectionResetError:
            self.ends.append("rst")
        else:
            self.ends.append("fin")


@asynccontextmanager
async def echoing(seed: int = 0) -> AsyncIterator[tuple[FaultProxy, Echo]]:
    echo = Echo()
    async with Listener(echo.answer) as listener, FaultProxy(("127.0.0.1", listener.port), seed=seed) as proxy:
        yield proxy, echo


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


# Slow


async def test_delay_adds_to_each_way_and_chunks_travel_together() -> None:
    loop = asyncio.get_running_loop()
    async with echoing() as (proxy, _), connected(proxy) as client:
        delay = proxy.arm(Delay(0.2), direction="down")
        begun = loop.time()
        for n in range(10):
            client.writer.write(b"%d" % n)
            await delay.fired(n + 1)
        assert await client.reader.readexactly(10) == b"0123456789"
        took = loop.time() - begun
        assert 0.2 <= took < 1.0  # ten delays one after the other would be 2 s
        assert proxy.hits == {"delay": 10}
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


async def test_a_subscription_goes_deaf(valkey: Valkey) -> None:
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
        proxy.arm(DropReply(quiet=0.25))
        async with connected(proxy) as client:
            begun = loop.time()
            client.writer.write(b"GET /\r\n")
            assert await client.reader.read() == b""
            assert loop.time() - begun >= 0.5


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
