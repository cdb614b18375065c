"""Nothing is left open, at whatever moment somebody goes; here, not where the collector finds it some tests later."""

from __future__ import annotations

import asyncio
import gc

import pytest

from gapless.log.errors import StoreUnavailable
from gapless.log.store import Store
from gapless.stores.topic import CLOSED, TopicSubscriptions
from tests.stores.contract.backend import Backend, Keep, Losses
from tests.stores.contract.publications import Heard
from tests.testkit.alarm import auntil


async def test_who_stops_subscribing_while_another_comes_leaves_no_connection(servers: Backend, store: Store) -> None:
    """Before Python 3.12 a cancellation is swallowed where SUBSCRIBE is just sent: that connection ends a second later,
    when the other has one of its own."""

    def connections() -> int:
        return sum(len(valkey.cli("CLIENT", "LIST").splitlines()) - 1 for valkey in servers.valkeys)

    before = connections()
    for turn in range(40):
        leaving = asyncio.create_task(store.subscribe("c", Heard()))
        for _ in range(turn):
            await asyncio.sleep(0)
        leaving.cancel()
        await asyncio.sleep(0)
        coming = await store.subscribe("d", Heard())
        [left] = await asyncio.gather(leaving, return_exceptions=True)
        if not isinstance(left, BaseException):
            await left.close()
        await coming.close()
    await store.close()
    await auntil(lambda: connections() <= before, "every connection was let go")
    gc.collect()  # what is unclosed fails the test


async def test_a_close_that_breaks_lets_go_of_all_the_rest(
    servers: Backend, store: Store, monkeypatch: pytest.MonkeyPatch
) -> None:
    def connections() -> int:
        return sum(len(valkey.cli("CLIENT", "LIST").splitlines()) - 1 for valkey in servers.valkeys)

    async def breaks(_: TopicSubscriptions) -> None:
        raise ZeroDivisionError

    before = connections()
    await store.ping()
    monkeypatch.setattr(TopicSubscriptions, "close", breaks)
    with pytest.raises(ZeroDivisionError):
        await store.close()
    await auntil(lambda: connections() <= before, "every connection was let go")
    with pytest.raises(StoreUnavailable, match=CLOSED):
        await store.ping()
    monkeypatch.undo()


async def test_nor_does_the_contracts_own_way_to_a_store(servers: Backend) -> None:
    for turn in range(16):
        async with servers.lossy(Losses()) as way:
            caller = way.open(Keep())
            await caller.ping()
            await caller.close()
            for _ in range(turn):
                await asyncio.sleep(0)
    gc.collect()
