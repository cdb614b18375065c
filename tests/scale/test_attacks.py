"""Honest clients while somebody attacks, in every way that once stopped a service.

Nothing is refused them, and how long they wait is set beside how long they wait otherwise.
"""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.testkit.attack import ATTACKS
from tests.testkit.forge import SECRET
from tests.testkit.honest import Seen, Siege, besieged
from tests.testkit.service import Service
from tests.testkit.valkey import start_valkey

pytestmark = [pytest.mark.real(seconds=70), pytest.mark.timeout(300)]

ROUNDS = dict.fromkeys(ATTACKS, 12) | {"unfinished": 16}
"""How many messages each who posts sends during an attack; for every four of them a newcomer comes, too.

More in the one whose first answers take seconds, because the attacker does.
"""
WANTED = 0.2
"""Seconds: a machine that is held up may take that for anything, attacked or not."""
MOST = 0.75
"""The share of replies and deliveries that are looked at: a machine that stalls does so to one or two of the twelve
messages of each who posts, and an attacker for whom others wait does it to all."""
TIMES = 5
"""What honest clients may wait longer. The figures are `make bench ARGS=attacks`: here the attacker, the clients and
other tests share the machine's cores."""


async def test_nobody_waits_long_for_an_attacker_or_is_refused(tmp_path: Path) -> None:
    with start_valkey(tmp_path) as store:
        async with Service({"REDIS_URL": store.url, "GAPLESS_JWT_SECRET": SECRET}) as service:
            assert service.port is not None
            sieges = [siege async for siege in besieged(service.port, ROUNDS)]
            assert "Traceback" not in service.log
    quiet = Seen()
    for siege in sieges:
        assert (siege.quiet.refused, siege.attacked.refused) == ([], []), siege.name
        assert sum(siege.statuses.values()) > 0, f"{siege.name} attacked nobody"
        quiet.add(siege.quiet)
    print("quiet", *(f"{1e3 * seconds:.1f} ms" for seconds in quiet.within(MOST)))
    assert [siege.name for siege in sieges if is_slow(siege, quiet)] == []


def is_slow(siege: Siege, quiet: Seen) -> bool:
    """Whether honest clients waited for too long, for a reply or for a message."""
    print(siege.name, siege.statuses, *(f"{1e3 * seconds:.1f} ms" for seconds in siege.attacked.within(MOST)))
    pairs = zip(siege.attacked.within(MOST), quiet.within(MOST), strict=True)
    return any(own > TIMES * max(usual, WANTED) for own, usual in pairs)
