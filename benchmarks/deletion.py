"""Deleting a channel beside many keys of others: Redis commands and milliseconds, over TCP and as on Upstash."""

from __future__ import annotations

import asyncio
import re
import time
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager

from redis import Redis

from benchmarks.server import valkey
from gapless.api.schemas import Message
from gapless.log.publication import Publication
from gapless.log.store import Store
from gapless.stores.redis.store import RedisStore
from gapless.stores.scripts import Layout
from gapless.stores.upstash.store import UpstashStore
from tests.testkit.port import free_port
from tests.testkit.upstash import EmulatorProcess

FOREIGN = 50_000
FILL = "for i = 1, tonumber(ARGV[1]) do redis.call('SET', KEYS[1] .. i, i) end"


def main() -> None:
    """A channel with one message, deleted from an empty server and from a full one."""
    print(f"{'':10}{'foreign keys':>14}{'commands':>10}{'ms':>8}")
    with stores() as (redis, kinds):
        for foreign in (0, FOREIGN):
            redis.eval(FILL, 1, "foreign:", foreign)
            for name, store in kinds.items():
                commands, took = asyncio.run(measure(redis, store()))
                print(f"{name:10}{foreign:14,}{commands:10}{took:8.1f}")


@contextmanager
def stores() -> Iterator[tuple[Redis, dict[str, Callable[[], Store]]]]:
    """The server, and what opens a store on it in each way."""
    with ExitStack() as stack:
        url = stack.enter_context(valkey())
        rest = stack.enter_context(EmulatorProcess(url, "--port", str(free_port())))

        def layout(database: int) -> Layout:
            return Layout("gapless", database, 1000, 86_400)

        yield (
            Redis.from_url(url),
            {
                "TCP": lambda: RedisStore(url, layout, page=64),
                "Upstash": lambda: UpstashStore(rest.url, rest.token, layout, page=64),
            },
        )


async def measure(redis: Redis, store: Store) -> tuple[int, float]:
    """Commands and milliseconds of one deletion."""
    draft = Message(data=1, localId="id").draft(None)
    await store.publish(Publication("c", (draft,), ("aaaa",), "t9x2k0ab", int(time.time() * 1000)))
    before, began = commands(redis), time.perf_counter()
    await store.forget("c")
    took, after = time.perf_counter() - began, commands(redis)
    await store.close()
    return after - before, took * 1e3


def commands(redis: Redis) -> int:
    """All calls so far, but for those that ask, greetings, and the transactions in which the emulator counts."""
    stats = redis.info("commandstats")
    others = re.compile("info|hello|client|auth|multi|exec$")
    return sum(int(one["calls"]) for name, one in stats.items() if not others.search(name))
