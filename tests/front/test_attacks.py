"""Honest clients while somebody attacks, in every way that once stopped a service: nothing is refused them.

How long they wait meanwhile is seen in `tests/scale/test_attacks.py`.
"""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.testkit.attack import ATTACKS
from tests.testkit.forge import SECRET
from tests.testkit.honest import besieged
from tests.testkit.service import Service
from tests.testkit.valkey import start_valkey

pytestmark = [pytest.mark.real(seconds=30), pytest.mark.timeout(300)]

ROUNDS = 4
"""Messages of each who posts, in each window; one newcomer opens a stream and reads a page meanwhile."""


async def test_nothing_is_refused_but_the_attacker(tmp_path: Path) -> None:
    with start_valkey(tmp_path) as store:
        async with Service({"REDIS_URL": store.url, "GAPLESS_JWT_SECRET": SECRET}) as service:
            assert service.port is not None
            async for siege in besieged(service.port, list(ATTACKS), ROUNDS):
                assert (siege.quiet.refused, siege.attacked.refused) == ([], []), siege.name
                assert sum(siege.statuses.values()) > 0, f"{siege.name} attacked nobody"
            assert "Traceback" not in service.log
