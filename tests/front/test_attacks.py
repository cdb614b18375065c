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

SLOW = ["unfinished"]
"""Attacks whose first answers take seconds, because the attacker does."""
PLAN = [(SLOW, 16), ([name for name in ATTACKS if name not in SLOW], 4)]
"""Attacks, and how many messages each who posts sends meanwhile; for every four of them a newcomer comes, too."""


async def test_nothing_is_refused_but_the_attacker(tmp_path: Path) -> None:
    with start_valkey(tmp_path) as store:
        async with Service({"REDIS_URL": store.url, "GAPLESS_JWT_SECRET": SECRET}) as service:
            assert service.port is not None
            for names, rounds in PLAN:
                async for siege in besieged(service.port, names, rounds):
                    assert (siege.quiet.refused, siege.attacked.refused) == ([], []), siege.name
                    assert sum(siege.statuses.values()) > 0, f"{siege.name} attacked nobody"
            assert "Traceback" not in service.log
