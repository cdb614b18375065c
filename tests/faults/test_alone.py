"""Each fault of a process, of a store or of the way to it by itself, under traffic, over TCP and as on Upstash.

Nothing is lost, doubled or reordered, no gap is told falsely, and none where nothing left the log. Four publishers and
four readers go on throughout. Every fault counts what it hit.
"""

from __future__ import annotations

from random import Random
from typing import TYPE_CHECKING
from uuid import uuid4

import pytest

from tests.testkit.chaos.rest import REST
from tests.testkit.chaos.route import ROUTE
from tests.testkit.chaos.services import SERVICES
from tests.testkit.chaos.stage import Kind, Scene, Stage, open_stage, two
from tests.testkit.chaos.store import STORE
from tests.testkit.chaos.traffic import Traffic

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Sequence

    import httpx

    from tests.testkit.injection import Injection

pytestmark = [pytest.mark.real(seconds=6), pytest.mark.timeout(180)]


@pytest.fixture(scope="module", params=["tcp", "upstash"])
async def stage(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> AsyncIterator[Stage]:
    kind: Kind = request.param
    async with open_stage(tmp_path_factory.mktemp(kind), kind, two) as stage:
        yield stage


@pytest.mark.parametrize("injection", [*SERVICES, *STORE], ids=lambda injection: injection.name)
async def test_a_fault_alone(injection: Injection, stage: Stage, client: httpx.AsyncClient) -> None:
    await strike([injection], stage, client)


async def test_each_fault_of_the_route(stage: Stage, client: httpx.AsyncClient) -> None:
    """One after the other, for they are soon over."""
    await strike(ROUTE, stage, client)


@pytest.mark.parametrize("stage", ["upstash"], indirect=True)
async def test_each_fault_of_rest(stage: Stage, client: httpx.AsyncClient) -> None:
    await strike(REST, stage, client)


async def strike(injections: Sequence[Injection], stage: Stage, client: httpx.AsyncClient) -> None:
    channel = uuid4().hex
    scene = Scene(stage, [channel], dice=Random(injections[0].name))
    traffic, hits = Traffic(scene, channel, client), {}
    async with traffic.reading(), traffic.publishing():
        await traffic.go_on()
        for injection in injections:
            hits[injection.name] = await injection.strike(scene)
            await traffic.go_on()
    counts = traffic.verdict().counts
    assert all(hits.values()), f"never struck: {hits}"
    assert set(counts["gaps"]) == injections[0].gaps, counts["gaps"]
    assert all("Traceback" not in service.log for service in stage.services)
