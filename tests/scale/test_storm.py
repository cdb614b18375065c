"""Two thousand streams in one process, all cut at once: they come back, miss nothing, and cost what they did before."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest
from anyio import to_thread

from tests.testkit.alarm import auntil
from tests.testkit.cost import descriptors, memory, raise_limits
from tests.testkit.crowd import crowd
from tests.testkit.history import History
from tests.testkit.load_publisher import Publisher
from tests.testkit.service import Service
from tests.testkit.valkey import start_valkey

if TYPE_CHECKING:
    from pathlib import Path

    import httpx

pytestmark = [pytest.mark.real(seconds=20), pytest.mark.timeout(180)]

STREAMS = 2000
CHANNEL = "general"
SETTINGS = {"GAPLESS_RATE": "0", "GAPLESS_STREAM_RATE": "0", "GAPLESS_RECHECK": "3600", "GAPLESS_HEARTBEAT": "60"}
SETTINGS |= {"GAPLESS_READ_RATE": "0", "GAPLESS_ADDRESS_SHARE": "1"}  # the crowd comes from one address
SETTINGS |= {"GAPLESS_LINGER": "300"}  # however long a slow machine takes to see that all are gone, the feed stays warm
A_STREAM = 80
"""KiB that a stream may cost; on the machine this was written on it costs 40."""
BACK = 1.15
"""As much as there was before the cut, and so much more: allocators keep what they once had."""


async def test_all_are_cut_at_once(tmp_path: Path, client: httpx.AsyncClient) -> None:
    """First by the network, while the process lives on; then by its death, so that they meet a cold one."""
    raise_limits()
    with start_valkey(tmp_path) as store:
        async with Service(SETTINGS | {"REDIS_URL": store.url}) as service, crowd(service.port) as people:
            ann = Publisher(History(), client, service.url, CHANNEL, keyed=False)
            await ann.publish("first")
            await people.join([CHANNEL] * 20)
            empty, open_before = memory(service), descriptors(service)
            await people.join([CHANNEL] * (STREAMS - 20))
            await ann.publish_many(5)
            await people.until_at(6)
            full = memory(service)
            each = (full - empty) / (STREAMS - 20)

            with store.count_commands() as counted:
                people.cut()
                await auntil(lambda: descriptors(service) <= open_before, "all are gone", alarm=30)
                await ann.publish_many(10)
                await people.connect(people.ears)
                await people.until_at(16)
            appends = counted["evalsha"], counted["lindex"], counted["rpush"], counted["publish"]
            reads = sum(counted.values()) - sum(appends)
            after = memory(service)

            await service.akill()
            await service.astart()
            await to_thread.run_sync(service.checked)
            cold = memory(service)
            with store.count_commands() as counted:
                await people.connect(people.ears)
                await ann.publish("last")
                await people.until_at(17)
            cold_reads = sum(counted.values()) - 4
            anew = memory(service)
    print(f"{each:.1f} KiB a stream; {empty} empty, {full} full, {after} after the cut, {anew} in a cold process (KiB)")
    print(f"{reads} reads by a warm process, {cold_reads} by a cold one")
    assert appends == (10, 10, 10, 10)
    assert reads <= 2
    assert cold_reads <= 4
    assert each <= A_STREAM
    assert after <= full * BACK
    assert anew - cold <= (full - empty) * BACK
