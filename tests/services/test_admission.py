"""Who is let in: what is opened, read and published in vain is counted apart."""

from __future__ import annotations

import asyncio

import pytest

from gapless.auth.rates import CommandBudget, OpenRate, subject_of
from gapless.log.errors import Busy, TooMany
from gapless.services.admission import Admission

pytestmark = pytest.mark.virtual_time


def admission(opened: float = 0, reads: float = 0, unwritten: float = 0) -> Admission:
    def clock() -> float:
        return asyncio.get_running_loop().time()

    return Admission(OpenRate(opened), CommandBudget(reads), CommandBudget(unwritten), clock)


async def test_streams_that_are_opened_are_counted_by_address() -> None:
    door = admission(opened=3)
    for user in ("ann", "bob", None):
        door.visitor(user, "192.0.2.1", opens=True)
    with pytest.raises(Busy, match="opened from this address"):
        door.visitor("carl", "192.0.2.1", opens=True)
    door.visitor("carl", "192.0.2.1", opens=False)
    door.visitor("carl", "192.0.2.2", opens=True)


async def test_what_a_visitor_reads_is_counted() -> None:
    door = admission(reads=1)
    visitor = door.visitor("ann", "192.0.2.1", opens=False)
    visitor.pay(60)
    with pytest.raises(Busy, match="reads too much") as error:
        door.visitor("ann", "192.0.2.1", opens=False)
    assert error.value.extra["retryAfterMs"] == 2000
    await asyncio.sleep(2)
    door.visitor("ann", "192.0.2.1", opens=False)


async def test_a_sender_pays_for_what_wrote_nothing() -> None:
    door = admission(unwritten=1)
    sender = door.sender("ann", "192.0.2.1")
    assert sender.subject == subject_of("ann", "192.0.2.1")
    for _ in range(100):
        door.sender("ann", "192.0.2.1")
    sender.pay(60)
    with pytest.raises(TooMany, match="refused or repeated"):
        door.sender("ann", "192.0.2.1")
    door.visitor("ann", "192.0.2.1", opens=True)
    await asyncio.sleep(1)
    door.sender("ann", "192.0.2.1")
