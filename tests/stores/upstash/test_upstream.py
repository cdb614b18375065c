"""Which of many upstreams tries SUBSCRIBE again, and when, while all their channels are polled: on virtual time."""

from __future__ import annotations

import asyncio
from collections import Counter
from collections.abc import AsyncGenerator

import pytest

from gapless.log.entries import Entry
from gapless.stores.topic import Topic
from gapless.stores.upstash.gate import Gate
from gapless.stores.upstash.poll import POLL
from gapless.stores.upstash.upstream import Refused, Upstream
from tests.stores.contract.publications import Heard
from tests.testkit.clock import advance

pytestmark = pytest.mark.virtual_time


class Refusing:
    """A server that refuses every SUBSCRIBE and answers every read: when those came, and how many of these."""

    def __init__(self) -> None:
        self.gate = Gate()
        self.tried: list[int] = []
        self.reads: Counter[str] = Counter()
        self.upstreams: list[Upstream] = []
        self._loop = asyncio.get_running_loop()
        self._began = self._loop.time()

    def open(self, channel: str) -> Heard:
        """Listen to a channel; what its listener hears."""
        topic, heard = Topic(channel), Heard()
        topic.listeners.append(heard)
        self.upstreams.append(Upstream(channel, self._lines, self._newest, self.gate))
        self.upstreams[-1].add(channel.encode(), topic)
        return heard

    async def close(self) -> None:
        for upstream in self.upstreams:
            await upstream.close()

    async def _lines(self) -> AsyncGenerator[bytes, None]:
        self.tried.append(round(self._loop.time() - self._began))
        await asyncio.sleep(0.05)  # meanwhile the others must know that somebody tries
        raise Refused("on purpose")
        yield b""

    async def _newest(self, channel: str, count: int) -> list[Entry]:
        self.reads[channel] += 1
        return []


async def test_one_of_all_tries_again_after_pauses_that_grow() -> None:
    server = Refusing()
    server.open("c0")
    await advance(0.1)
    for number in range(1, 13):
        server.open(f"c{number}")
    await advance(0.1)
    assert (server.tried, len(server.reads)) == ([0], 13), "those that came later were polled at once"
    await advance(80)
    assert server.tried == [0, 5, 15, 35, 75], "by one of thirteen"
    assert all(80 / POLL[1] <= reads <= 30 for reads in server.reads.values()), "each is polled, and by one alone"
    await server.close()
