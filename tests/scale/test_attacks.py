"""How long honest clients wait while somebody attacks, beside how long they wait otherwise."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.testkit.attack import ATTACKS
from tests.testkit.forge import SECRET
from tests.testkit.honest import Seen, besieged
from tests.testkit.service import Service
from tests.testkit.valkey import start_valkey

pytestmark = [pytest.mark.real(seconds=70), pytest.mark.timeout(300)]

ROUNDS = 12
WANTED = 0.2
"""Seconds: a machine that is held up may take that for anything, attacked or not."""
TIMES = 5
"""What honest clients may wait longer. The figures are `make bench ARGS=attacks`: here the attacker, the clients and
other tests share the machine's cores."""


async def test_nobody_waits_long_for_an_attacker(tmp_path: Path) -> None:
    quiet, slow = Seen(), []
    with start_valkey(tmp_path) as store:
        async with Service({"REDIS_URL": store.url, "GAPLESS_JWT_SECRET": SECRET}) as service:
            assert service.port is not None
            sieges = [siege async for siege in besieged(service.port, list(ATTACKS), ROUNDS)]
    for siege in sieges:
        quiet.add(siege.quiet)
    for siege in sieges:
        print(siege.name, siege.statuses, *(f"{1e3 * seconds:.1f} ms" for seconds in siege.attacked.p99))
        slow += [
            siege.name
            for own, usual in zip(siege.attacked.p99, quiet.p99, strict=True)
            if own > TIMES * max(usual, WANTED)
        ]
    print("quiet", *(f"{1e3 * seconds:.1f} ms" for seconds in quiet.p99))
    assert slow == []
