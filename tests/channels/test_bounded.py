"""A question to the store comes back, whatever becomes of it below."""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import Coroutine
from typing import Any

import pytest

from gapless.channels.bounded import LIMIT, BoundedStore, bounded
from gapless.log.errors import StoreUnavailable
from gapless.runtime.tasks import AGAIN
from tests.testkit.clock import advance, settle
from tests.testkit.model_store import ModelStore

pytestmark = pytest.mark.virtual_time


def begun(question: Coroutine[Any, Any, object]) -> asyncio.Task[object]:
    return asyncio.create_task(bounded(question))


async def never(swallows: int = 0) -> None:
    for _ in range(swallows):
        with contextlib.suppress(asyncio.CancelledError):
            await asyncio.Event().wait()
    await asyncio.Event().wait()


@pytest.mark.parametrize("swallows", [0, 1, 3])
async def test_one_that_never_comes_back_is_given_up_and_ended(swallows: int) -> None:
    before = asyncio.all_tasks()
    asking = begun(never(swallows))
    await advance(LIMIT - 0.1)
    assert not asking.done()
    await advance(0.2)
    with pytest.raises(StoreUnavailable, match="has not answered for 18 s"):
        await asking
    await advance(AGAIN * swallows + 0.1)
    assert asyncio.all_tasks() == before, "it was left running"


async def test_one_that_somebody_breaks_off_is_a_failure_and_no_cancellation() -> None:
    async def broken_off() -> None:
        raise asyncio.CancelledError

    with pytest.raises(StoreUnavailable, match="broken off"):
        await bounded(broken_off())


async def test_whoever_is_cancelled_leaves_nothing_behind() -> None:
    before = asyncio.all_tasks()
    asking = begun(never(swallows=1))
    await settle()
    asking.cancel()
    await asyncio.wait([asking])
    assert asking.cancelled()
    assert asyncio.all_tasks() == before


async def test_an_error_in_the_moment_of_cancellation_is_not_told_instead() -> None:
    async def fails() -> None:
        try:
            await asyncio.Event().wait()
        finally:
            raise StoreUnavailable("no")

    asking = begun(fails())
    await settle()
    asking.cancel()
    await asyncio.wait([asking])
    assert asking.cancelled()


async def test_answers_and_errors_come_through() -> None:
    store = ModelStore()
    store.append("c", "1", "2")
    bounded_store = BoundedStore(store)
    assert len(await bounded_store.tail("c", 5)) == 2
    assert len((await bounded_store.slice("c", 1, 1)).entries) == 1
    store.down = True
    for question in (bounded_store.tail("c", 1), bounded_store.slice("c", 1, 1)):
        with pytest.raises(StoreUnavailable, match="on purpose"):
            await question
