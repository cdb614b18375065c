"""The clock of one process is a minute ahead: a log may then begin anew in an older epoch than the one before it."""

from __future__ import annotations

from random import Random
from typing import TYPE_CHECKING
from uuid import uuid4

import pytest

from tests.testkit.chaos.stage import Kind, Scene, open_stage
from tests.testkit.chaos.store import wipe
from tests.testkit.chaos.traffic import Traffic
from tests.testkit.load_publisher import Publisher
from tests.testkit.service import Service
from tests.testkit.variant import Variant

if TYPE_CHECKING:
    from pathlib import Path

    import httpx

pytestmark = [pytest.mark.real(seconds=20), pytest.mark.timeout(180)]

AHEAD = 60.0


def one_ahead(env: dict[str, str]) -> list[Service]:
    return [Service(env), Variant(env, ahead=AHEAD)]


@pytest.mark.parametrize("kind", ["tcp", "upstash"])
async def test_one_clock_is_a_minute_ahead(kind: Kind, tmp_path: Path, client: httpx.AsyncClient) -> None:
    """Whoever begins the log says when it began: first the fast clock, then the right one, then the fast one again."""
    async with open_stage(tmp_path, kind, one_ahead) as stage:
        channel = uuid4().hex
        scene = Scene(stage, [channel], dice=Random(1))
        right, fast = (
            Publisher(scene.history, client, url, channel, user)
            for url, user in zip(stage.urls, ("right", "fast"), strict=True)
        )
        traffic = Traffic(scene, channel, client)
        begun = []
        async with traffic.reading():
            for first in (fast, right, fast):
                assert not begun or await wipe(scene) == 1
                begun += await first.publish_many(1)
                async with traffic.publishing():
                    await traffic.go_on()
        traffic.verdict()
        older, newer = sorted({id_[:6] for id_ in begun})[0], sorted({id_[:6] for id_ in begun})[-1]
        assert AHEAD - 30 < int(newer, 36) - int(older, 36) < AHEAD + 60
        assert [begun[0] > begun[1], begun[1] < begun[2]] == [True, True], "epochs went back and on"
