"""What a store waits for ends before a server that is told to stop answers with a 500."""

from __future__ import annotations

import asyncio

import pytest

from gapless.cli.server import GRACE
from gapless.log.errors import StoreUnavailable
from gapless.stores.attempts import PATIENCE, persist
from tests.testkit.clock import running_loop

pytestmark = pytest.mark.virtual_time


@pytest.mark.parametrize("repeatable", [True, False])
async def test_all_attempts_together_end_in_time(repeatable: bool) -> None:
    begun = ended = 0

    async def slow() -> None:
        nonlocal begun, ended
        begun += 1
        try:
            await asyncio.sleep(PATIENCE - 1)
        finally:
            ended += 1
        raise StoreUnavailable("not reached")

    began = running_loop().time()
    with pytest.raises(StoreUnavailable) as error:
        await persist(slow, repeatable=repeatable)
    assert running_loop().time() - began == pytest.approx(PATIENCE)
    assert PATIENCE < GRACE
    assert begun == ended == 2
    assert error.value.outcome_unknown, "the second may have been written"


async def test_a_time_limit_of_the_attempts_own_is_not_taken_for_it() -> None:
    async def fails() -> None:
        raise TimeoutError("its own")

    with pytest.raises(TimeoutError, match="its own"):
        await persist(fails, repeatable=True)
