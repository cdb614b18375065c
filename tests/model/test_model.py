"""Thousands of random histories on virtual time: whatever happens to logs, notices, replicas and streams, no reader is
left with a story that is not the log's, without having been told.

The laws, for every reader and every message it gets:

1. it follows the one before by number and by mark, or a gap stands between them;
2. a `trimmed` gap counts right;
3. a `reset` comes only where the reader's position is really gone from the log;
4. when all is quiet at last, the reader stands at the head of the log, and what it got since its last gap is in it;
5. whoever had seen writes that a failover lost was told: live, on resume, ahead of the promoted replica, on a channel
   that then stays quiet, and with the notices of the first rewritten messages lost;
6. around the messages (`around.py`): no signal comes twice, marks only go up, and when all is quiet at last every
   reader knows the marks that the store holds, and that just those are there who have a stream.
"""

from __future__ import annotations

import asyncio
import os
from collections import Counter

import pytest

from tests.model.failovers import SITUATIONS
from tests.model.world import World
from tests.testkit.clock import VirtualLoop

# HISTORIES=10000 for a long look (`-s` prints what there was); every seed is another history.
HISTORIES = int(os.environ.get("HISTORIES", "300"))


def run(seeds: range, *, rewrites: bool) -> Counter[str]:
    """Live through these histories; what happened, counted."""
    seen: Counter[str] = Counter()
    for seed in seeds:
        with asyncio.Runner(loop_factory=VirtualLoop) as runner:
            seen += runner.run(_run(seed, rewrites))
    return seen


async def _run(seed: int, rewrites: bool) -> Counter[str]:
    world = World(seed)
    await world.run(rewrites=rewrites)
    return world.failovers.seen


@pytest.mark.timeout(1200 if HISTORIES > 1000 else 180)
@pytest.mark.parametrize("part", range(2))
def test_random_histories(part: int) -> None:
    seeds = range(part, HISTORIES, 2)
    seen = run(seeds, rewrites=True)
    print(f"{len(seeds)} histories, none silent: {dict(seen)}")
    for situation in SITUATIONS:
        assert seen[situation] >= len(seeds) / 10, f"too seldom: {situation} in {seen}"


@pytest.mark.timeout(180)
def test_random_histories_without_rewrites_never_reset() -> None:
    assert run(range(100), rewrites=False).keys() <= {"losses", "trimmed"}
