"""The pool: takes what works first, waits where there is no room, gives back what rests."""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path

import pytest
from redis import exceptions

from gapless.log.errors import StoreUnavailable
from gapless.stores.redis import lines as redis_lines
from gapless.stores.redis import pool as redis_pool
from gapless.stores.redis.lines import Standalone
from gapless.stores.redis.url import read_url
from tests.testkit.alarm import auntil
from tests.testkit.valkey import Valkey, start_valkey


@asynccontextmanager
async def line_to(valkey: Valkey, options: str = "", *, alone: bool = False) -> AsyncIterator[Standalone]:
    line = Standalone(read_url(f"redis://127.0.0.1:{valkey.port}{options}"), alone=alone)
    try:
        yield line
    finally:
        await line.close()


def connections(valkey: Valkey) -> int:
    """But for the one that asks."""
    return len(valkey.cli("CLIENT", "LIST").splitlines()) - 1


@pytest.fixture(autouse=True)
def patient(monkeypatch: pytest.MonkeyPatch) -> None:
    """Replies may be held back for as long as a test likes. What is to happen at once does not wait for them."""
    monkeypatch.setattr(redis_lines, "REPLY_TIMEOUT", 60.0)


async def busy(line: Standalone, number: int) -> list[asyncio.Task[object]]:
    """So many commands that wait for their replies, until `release`; none of them travels with another."""
    tasks: list[asyncio.Task[object]] = []
    for turn in range(number):
        tasks.append(asyncio.create_task(line.call(("BLPOP", f"nothing{turn}", 0))))
        await asyncio.sleep(0)
        line._together._open = None
    await auntil(lambda: len(line._pool._used) == number, "they are on their way")
    return tasks


def release(valkey: Valkey, number: int) -> None:
    """Answer those who are `busy`."""
    for turn in range(number):
        valkey.cli("RPUSH", f"nothing{turn}", "x")


async def use(line: Standalone, valkey: Valkey, number: int) -> None:
    """So many connections, all of them at once."""
    tasks = await busy(line, number)
    release(valkey, number)
    await asyncio.gather(*tasks)


async def test_a_refused_connection_shadows_none_that_works(tmp_path: Path) -> None:
    with start_valkey(tmp_path, "--maxclients", "4", port=None) as valkey:
        async with line_to(valkey) as line:
            outcomes = await asyncio.gather(*(line.call(("SET", "a", n)) for n in range(30)))
            assert outcomes == [b"OK"] * 30, "who finds no room waits for one that works"
            for number in range(20):
                assert await line.call(("SET", "a", number)) == b"OK"
            assert len(line._pool._resting) <= 4


class _OnceOpen:
    """Connections of a server, or of a proxy before it, that takes one and refuses every other at the connect."""

    made = 0

    def __init__(self) -> None:
        type(self).made += 1
        self._first = self.made == 1
        self.is_connected = False

    async def connect(self) -> None:
        if not self._first:
            raise exceptions.ConnectionError("Connection refused.")
        self.is_connected = True

    async def disconnect(self, *, nowait: bool = False) -> None:
        self.is_connected = False


async def test_who_is_refused_at_the_connect_waits_for_one_that_is_there(monkeypatch: pytest.MonkeyPatch) -> None:
    """A full server refuses in its first reply; one whose connections are counted elsewhere, at the connect."""
    monkeypatch.setattr(_OnceOpen, "made", 0)
    pool = redis_pool.Pool(_OnceOpen, 8, patience=5.0)
    try:
        first = await pool.take()
        second = asyncio.create_task(pool.take())
        await auntil(lambda: _OnceOpen.made == 2 and pool._waiting, "it was refused, and waits")
        await pool.give(first)
        assert await second is first
    finally:
        await pool.close()


async def test_without_any_it_is_said_at_once_and_nothing_was_sent(tmp_path: Path) -> None:
    with start_valkey(tmp_path, "--maxclients", "1", port=None) as valkey:
        async with line_to(valkey) as first, line_to(valkey) as second:
            await first.call(("PING",))
            with pytest.raises(StoreUnavailable, match="max number of clients") as refused:
                await second.call(("SET", "a", 1))
            assert not refused.value.outcome_unknown
            await first.close()
            await auntil(lambda: _works(second), "there is room again")


async def _works(line: Standalone) -> bool:
    with contextlib.suppress(StoreUnavailable):
        return await line.call(("PING",)) == b"PONG"
    return False


async def test_no_more_than_so_many_at_once(tmp_path: Path) -> None:
    with start_valkey(tmp_path, port=None) as valkey:
        async with line_to(valkey, "?max_connections=3") as line:
            held = await busy(line, 3)
            calls = [asyncio.create_task(line.call(("SET", "a", n))) for n in range(50)]
            await auntil(lambda: line._pool._waiting, "they find no room")
            release(valkey, 3)
            await asyncio.gather(*calls, *held)
            assert connections(valkey) == 3


async def test_what_rests_is_given_back(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(redis_pool, "KEPT", 0.3)
    with start_valkey(tmp_path, port=None) as valkey:
        async with line_to(valkey) as line:
            await use(line, valkey, 10)
            await auntil(lambda: connections(valkey) == 0, "all were given back")
            assert await line.call(("SET", "a", 1)) == b"OK"


def timers(loop: asyncio.AbstractEventLoop) -> list[str]:
    pending = loop._scheduled  # type: ignore[attr-defined]  # nothing public names them
    return [repr(timer) for timer in pending if not timer.cancelled() and "_tidy" in repr(timer)]


async def test_a_process_that_is_frozen_after_each_request_is_left_without_a_timer(tmp_path: Path) -> None:
    """What rests too long is given back with the next request, which is served by the one that was used last."""
    with start_valkey(tmp_path, port=None) as valkey:
        async with line_to(valkey, alone=True) as line, line_to(valkey) as usual:
            await use(line, valkey, 10)
            assert timers(asyncio.get_running_loop()) == []
            *_, newest = resting = line._pool._resting
            line._pool._resting = [one._replace(since=one.since - redis_pool.KEPT) for one in resting]
            assert await line.call(("SET", "a", 1)) == b"OK"
            assert [one.connection for one in line._pool._resting] == [newest.connection]
            await auntil(lambda: connections(valkey) == 1, "the others were given back")
            await usual.call(("PING",))
            assert len(timers(asyncio.get_running_loop())) == 1, "elsewhere nothing has to come for that"


async def test_the_same_few_are_used_again(tmp_path: Path) -> None:
    with start_valkey(tmp_path, port=None) as valkey:
        async with line_to(valkey) as line:
            await asyncio.gather(*(line.call(("PING",)) for _ in range(8)))
            before = valkey.cli("INFO", "stats").split("total_connections_received:")[1].split()[0]
            for _ in range(50):
                await line.call(("PING",))
            after = valkey.cli("INFO", "stats").split("total_connections_received:")[1].split()[0]
            assert int(after) - int(before) == 1, "the one that asked"


async def test_who_leaves_while_waiting_takes_no_connection(tmp_path: Path) -> None:
    with start_valkey(tmp_path, port=None) as valkey:
        async with line_to(valkey, "?max_connections=1") as line:
            for turns in range(12):
                [holding] = await busy(line, 1)
                waiting = asyncio.create_task(line.call(("PING",)))
                await asyncio.sleep(0)
                release(valkey, 1)
                for _ in range(turns):
                    await asyncio.sleep(0)
                waiting.cancel()
                await asyncio.gather(holding, waiting, return_exceptions=True)
                assert await line.call(("PING",)) == b"PONG"
            assert connections(valkey) <= 1
            assert not line._pool._used and len(line._pool._resting) <= 1


async def test_all_who_wait_hear_that_the_server_is_gone(tmp_path: Path) -> None:
    with start_valkey(tmp_path, port=None) as valkey:
        async with line_to(valkey, "?max_connections=2") as line:
            held = await busy(line, 2)
            waiting = [asyncio.create_task(line.call(("PING",))) for _ in range(6)]
            await asyncio.sleep(0)
            valkey.kill()
            async with asyncio.timeout(10):
                outcomes = await asyncio.gather(*held, *waiting, return_exceptions=True)
            assert all(isinstance(outcome, StoreUnavailable) for outcome in outcomes)
