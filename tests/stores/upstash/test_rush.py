"""More commands at once than a database should be asked: they wait in line, and cost no more than one by one."""

from __future__ import annotations

import asyncio

import pytest

from gapless.log.errors import StoreUnavailable
from gapless.stores.upstash import rest as upstash_rest
from gapless.stores.upstash.rest import AT_ONCE, Rest
from tests.stores.upstash.use import until
from tests.testkit.listener import Listener

PONG = b'{"result":"UE9ORw=="}'


class Slow:
    """A database that answers when the test opens `gate`. `asked`: under way now; `most`: ever."""

    def __init__(self) -> None:
        self.asked = self.most = 0
        self.gate = asyncio.Event()

    async def answer(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        while True:
            head = await reader.readuntil(b"\r\n\r\n")
            length = next(line for line in head.lower().splitlines() if line.startswith(b"content-length:"))
            await reader.readexactly(int(length.partition(b":")[2]))
            self.asked += 1
            self.most = max(self.most, self.asked)
            await self.gate.wait()
            self.asked -= 1
            writer.write(b"HTTP/1.1 200 OK\r\nContent-Length: %d\r\n\r\n" % len(PONG) + PONG)


@pytest.fixture(autouse=True)
def patience(monkeypatch: pytest.MonkeyPatch) -> None:
    """For a machine that has other things to do."""
    monkeypatch.setattr(upstash_rest, "REPLY_TIMEOUT", 60.0)


async def test_twice_as_many_commands_as_are_sent_at_once_wait_in_line() -> None:
    slow = Slow()
    async with Listener(slow.answer) as listener:
        rest = Rest(f"http://127.0.0.1:{listener.port}", "token")
        calls = [asyncio.create_task(rest.attempt("PING")) for _ in range(2 * AT_ONCE)]
        await until(lambda: slow.asked >= AT_ONCE, "as many as may are under way")
        slow.gate.set()
        assert await asyncio.gather(*calls) == ["PONG"] * 2 * AT_ONCE
        assert slow.most == AT_ONCE
        await rest.close()


async def test_a_command_whose_turn_never_comes_was_not_sent(monkeypatch: pytest.MonkeyPatch) -> None:
    slow = Slow()
    async with Listener(slow.answer) as listener:
        rest = Rest(f"http://127.0.0.1:{listener.port}", "token")
        calls = [asyncio.create_task(rest.attempt("PING")) for _ in range(AT_ONCE)]
        await until(lambda: slow.asked >= AT_ONCE, "as many as may are under way")
        monkeypatch.setattr(upstash_rest, "REPLY_TIMEOUT", 0.1)
        with pytest.raises(StoreUnavailable, match="more than it can answer") as error:
            await rest.attempt("PING")
        assert not error.value.outcome_unknown
        slow.gate.set()
        assert await asyncio.gather(*calls) == ["PONG"] * AT_ONCE
        await rest.close()
