"""Commands that travel together: each has its own reply, and what is known of it when the connection fails."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from types import SimpleNamespace
from typing import Any

import pytest
from redis import exceptions

from gapless.log.errors import StoreUnavailable
from gapless.stores.redis.lines import Standalone
from gapless.stores.redis.together import MOST, Together
from gapless.stores.redis.url import read_url
from tests.testkit.valkey import Valkey


class Server:
    """Answers every command with its last word; keeps what came together."""

    def __init__(self) -> None:
        self.exchanges: list[list[Any]] = []
        self.answering = asyncio.Event()
        self.answering.set()
        self.asked = asyncio.Event()
        self.broken_off = 0
        self.together = Together(self._reach, self._exchange)

    async def _reach(self) -> Any:
        await asyncio.sleep(0)
        return self

    async def _exchange(self, _: Any, commands: Sequence[tuple[Any, ...]]) -> list[Any]:
        self.exchanges.append([command[-1] for command in commands])
        self.asked.set()
        try:
            await self.answering.wait()
        except asyncio.CancelledError:
            self.broken_off += 1
            for _ in range(5):  # what it takes to put a connection away
                await asyncio.sleep(0)
            raise
        return [command[-1] for command in commands]


async def test_what_is_asked_in_one_turn_travels_together() -> None:
    server = Server()
    assert await asyncio.gather(*(server.together.ask(("GET", n)) for n in range(5))) == list(range(5))
    assert await server.together.ask(("GET", 5)) == 5
    assert server.exchanges == [[0, 1, 2, 3, 4], [5]]


async def test_so_many_at_most() -> None:
    server = Server()
    await asyncio.gather(*(server.together.ask(("GET", n)) for n in range(2 * MOST + 1)))
    assert [len(exchange) for exchange in server.exchanges] == [MOST, MOST, 1]


async def test_who_leaves_takes_nobody_along_and_the_last_one_breaks_it_off() -> None:
    server = Server()
    server.answering.clear()
    first, second = (asyncio.create_task(server.together.ask(("GET", n))) for n in range(2))
    await server.asked.wait()
    server.asked.clear()
    first.cancel()
    await asyncio.sleep(0)
    await asyncio.sleep(0)
    assert server.broken_off == 0
    server.answering.set()
    assert await second == 1
    server.answering.clear()
    before = asyncio.all_tasks()
    third = asyncio.create_task(server.together.ask(("GET", 3)))
    await server.asked.wait()
    third.cancel()
    await asyncio.wait([third])
    assert server.broken_off == 1
    assert asyncio.all_tasks() <= before, "nothing is left of it once its caller has gone"


async def test_what_is_asked_right_after_all_have_left_goes_by_itself() -> None:
    server = Server()
    first = asyncio.create_task(server.together.ask(("GET", 1)))
    await asyncio.sleep(0)
    first.cancel()
    await asyncio.wait([first])
    async with asyncio.timeout(5):
        assert await server.together.ask(("GET", 2)) == 2
    assert server.exchanges == [[2]]


class Scripted:
    """A connection of redis-py, whose replies are given."""

    def __init__(self, *replies: Any) -> None:
        self.is_connected = True
        self._writer = SimpleNamespace(is_closing=lambda: False)
        self.sent: list[Any] = []
        self._replies = list(replies)

    def pack_commands(self, commands: Any) -> Any:
        return commands

    async def _send_packed_command(self, commands: Any) -> None:
        self.sent += commands

    async def read_response(self, *, disconnect_on_error: bool) -> Any:
        assert not disconnect_on_error
        reply = self._replies.pop(0)
        if isinstance(reply, Exception):
            raise reply
        return reply

    async def disconnect(self, *, nowait: bool) -> None:
        self.is_connected = False


async def told(line: Standalone, monkeypatch: pytest.MonkeyPatch, connection: Scripted, count: int) -> list[Any]:
    async def answering() -> Any:
        connection.is_connected = True
        line._pool._used.add(connection)
        return connection

    monkeypatch.setattr(line, "_answering", answering)
    return await asyncio.gather(*(line.call(("SET", "a", n)) for n in range(count)), return_exceptions=True)


@pytest.fixture
def line() -> Standalone:
    return Standalone(read_url("redis://127.0.0.1:1"))


def lost(code: str = "", text: str = "gone") -> exceptions.ConnectionError:
    error = exceptions.ConnectionError(text)
    error.status_code = code  # type: ignore[attr-defined]
    return error


async def test_what_was_answered_is_known_when_the_rest_is_not(
    line: Standalone, monkeypatch: pytest.MonkeyPatch
) -> None:
    connection = Scripted(b"OK", exceptions.ResponseError("ERR no"), lost())
    first, second, *rest = await told(line, monkeypatch, connection, 5)
    assert first == b"OK"
    assert isinstance(second, exceptions.ResponseError)
    assert [one.outcome_unknown for one in rest] == [True] * 3
    assert len(set(map(id, rest))) == 3, "one of its own for each"
    assert not connection.is_connected


async def test_a_refusal_is_its_own_commands_alone(line: Standalone, monkeypatch: pytest.MonkeyPatch) -> None:
    """Were the rest taken for refused, what was written would be written again."""
    connection = Scripted(lost("LOADING", "Redis is loading"), b"OK", b"OK")
    refused, *written = await told(line, monkeypatch, connection, 3)
    assert isinstance(refused, StoreUnavailable)
    assert not refused.outcome_unknown
    assert written == [b"OK", b"OK"]
    assert not connection.is_connected, "redis-py hangs up upon such an answer, and so do we"


async def test_a_full_server_has_read_none_of_them(line: Standalone, monkeypatch: pytest.MonkeyPatch) -> None:
    connection = Scripted(lost("ERR", "max number of clients reached"), lost("ERR", "max number of clients reached"))
    refused = await told(line, monkeypatch, connection, 3)
    assert [one.outcome_unknown for one in refused] == [False] * 3
    assert connection._replies == [], "each asked twice, and the server answered each time but once"


async def test_many_on_one_connection(valkey: Valkey) -> None:
    line = Standalone(read_url(valkey.url))
    try:
        asked = [("SET", "a", 1), ("NOSUCH",), ("GET", "a"), ("EVAL", "return {1, {2, 'x'}}", 0)]
        one, two, three, four = await asyncio.gather(*map(line.call, asked), return_exceptions=True)
        assert (one, three, four) == (b"OK", b"1", [1, [2, b"x"]])
        assert isinstance(two, exceptions.ResponseError)
        assert len(line._pool._resting) == 1
    finally:
        await line.close()
