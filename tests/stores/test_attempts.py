"""What a store waits for ends before a server that is told to stop answers with a 500."""

from __future__ import annotations

import asyncio

import pytest

from gapless.channels.bounded import LIMIT
from gapless.cli.server import GRACE
from gapless.log.errors import StoreUnavailable
from gapless.log.store import DEADLINE
from gapless.stores.attempts import persist
from gapless.stores.redis import lines, pubsub
from gapless.stores.upstash import rest, subscriptions
from tests.testkit.clock import running_loop

pytestmark = pytest.mark.virtual_time


@pytest.mark.parametrize("repeatable", [True, False])
async def test_all_attempts_together_end_in_time(repeatable: bool) -> None:
    begun = ended = 0

    async def slow() -> None:
        nonlocal begun, ended
        begun += 1
        try:
            await asyncio.sleep(DEADLINE - 1)
        finally:
            ended += 1
        raise StoreUnavailable("not reached")

    began = running_loop().time()
    with pytest.raises(StoreUnavailable) as error:
        await persist(slow, repeatable=repeatable)
    assert running_loop().time() - began == pytest.approx(DEADLINE)
    assert DEADLINE < GRACE
    assert begun == ended == 2
    assert error.value.outcome_unknown, "the second may have been written"


async def test_a_time_limit_of_the_attempts_own_is_not_taken_for_it() -> None:
    async def fails() -> None:
        raise TimeoutError("its own")

    with pytest.raises(TimeoutError, match="its own"):
        await persist(fails, repeatable=True)


def test_there_is_one_deadline_and_the_other_limits_leave_it_the_decision() -> None:
    """An attempt that waits for its turn, and then for its reply, ends before; what watches the deadline, after it."""
    for attempt in (lines.CONNECT_TIMEOUT + 2 * lines.REPLY_TIMEOUT, 2 * rest.REPLY_TIMEOUT):
        assert attempt < DEADLINE
    for subscribing in (pubsub.ACK_TIMEOUT, subscriptions.OPEN_TIMEOUT):
        assert subscribing < DEADLINE
    assert DEADLINE < GRACE < LIMIT
