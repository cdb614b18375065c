"""What is sent to a store is counted as the server itself counts it; a script is one command."""

from __future__ import annotations

from collections import Counter
from contextlib import asynccontextmanager
from typing import TYPE_CHECKING

import pytest

from gapless.log.errors import StoreUnavailable
from gapless.runtime.counters import StoreCounters
from gapless.stores.redis.store import RedisStore
from gapless.stores.upstash.store import UpstashStore
from tests.stores.contract.publications import Heard, publication
from tests.stores.upstash.use import layout
from tests.testkit.port import free_port
from tests.testkit.upstash import UpstashEmulator

if TYPE_CHECKING:
    from collections.abc import AsyncIterator

    from gapless.log.store import Store
    from tests.testkit.valkey import Valkey

USED = {
    ("EVALSHA", "publish"): 3,
    ("EVALSHA", "slice"): 1,
    ("LRANGE", ""): 1,
    ("HGETALL", ""): 1,
    ("UNLINK", ""): 1,
    ("PUBLISH", ""): 1,
    ("SUBSCRIBE", ""): 1,
}
"""What `use` sends to a server that knows the scripts, by command and script; over TCP it also says UNSUBSCRIBE."""


async def use(store: Store) -> None:
    """Something of each kind."""
    subscription = await store.subscribe("general", Heard())
    for number in range(3):
        await store.publish(publication("general", number))
    await store.tail("general", 5)
    await store.slice("general", 1, 2)
    await store.marks("general")
    await store.forget("general")
    await subscription.close()


@asynccontextmanager
async def opened(kind: str, valkey: Valkey, counters: StoreCounters) -> AsyncIterator[Store]:
    if kind == "tcp":
        store: Store = RedisStore(valkey.url, layout, page=50, counters=counters)
        try:
            yield store
        finally:
            await store.close()
        return
    async with UpstashEmulator(valkey.url) as emulator:
        store = UpstashStore(emulator.url, emulator.token, layout, page=50, counters=counters)
        try:
            yield store
        finally:
            await store.close()


@pytest.mark.parametrize("kind", ["tcp", "upstash"])
async def test_commands_are_counted_by_name_and_script(kind: str, valkey: Valkey) -> None:
    counters = StoreCounters()
    async with opened(kind, valkey, counters) as store:
        await use(store)
        before = Counter(counters.commands)
        inside = {"lindex", "rpush", "publish"}
        with valkey.count_commands(ignore=inside | {"subscribe", "unsubscribe", "info", "client"}) as counted:
            await use(store)
        found = counters.commands - before
    found.pop(("UNSUBSCRIBE", ""), None)
    assert found == USED
    assert counted["evalsha"] == found["EVALSHA", "publish"] + found["EVALSHA", "slice"]
    assert (counted["hgetall"], counted["unlink"]) == (1, 1)
    assert counters.sent == counters.commands.total() > before.total() > 0


@pytest.mark.parametrize("kind", ["tcp", "upstash"])
async def test_what_could_not_be_sent_is_not_counted(kind: str) -> None:
    counters, port = StoreCounters(), free_port()
    store: Store = (
        RedisStore(f"redis://127.0.0.1:{port}", layout, page=50, counters=counters)
        if kind == "tcp"
        else UpstashStore(f"http://127.0.0.1:{port}", "token", layout, page=50, counters=counters)
    )
    with pytest.raises(StoreUnavailable):
        await store.ping()
    with pytest.raises(StoreUnavailable):
        await store.marks("general")
    await store.close()
    assert counters.sent == 0
