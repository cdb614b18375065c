"""Each fault of a process or a store by itself: nothing is lost, doubled or reordered, and no gap is told falsely.

Three publishers and four readers go on throughout, over TCP and as on Upstash. Every fault counts what it hit.
"""

from __future__ import annotations

from random import Random
from typing import TYPE_CHECKING
from uuid import uuid4

import pytest

from tests.faults.services import SERVICES
from tests.faults.stage import Kind, Scene, Stage, open_stage, two
from tests.faults.store import STORE
from tests.faults.traffic import Traffic

if TYPE_CHECKING:
    from collections.abc import AsyncIterator

    import httpx

    from tests.faults.blow import Blow

pytestmark = [pytest.mark.real(seconds=6), pytest.mark.timeout(180)]


@pytest.fixture(scope="module", params=["tcp", "upstash"])
async def stage(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> AsyncIterator[Stage]:
    kind: Kind = request.param
    async with open_stage(tmp_path_factory.mktemp(kind), kind, two) as stage:
        yield stage


@pytest.mark.parametrize("blow", [*SERVICES, *STORE], ids=lambda blow: blow.name)
async def test_a_fault_alone(blow: Blow, stage: Stage, client: httpx.AsyncClient) -> None:
    channel = uuid4().hex
    scene = Scene(stage, [channel], dice=Random(blow.name))
    traffic = Traffic(scene, channel, client)
    async with traffic.reading(), traffic.publishing():
        await traffic.go_on()
        hits = await blow.strike(scene)
        await traffic.go_on()
    counts = traffic.verdict().counts
    assert hits > 0, "it never struck"
    assert set(counts["gaps"]) == blow.gaps, counts["gaps"]
    assert all("Traceback" not in service.log for service in stage.services)
