"""How long honest clients wait while somebody attacks, beside how long they wait just before.

The same clients and attacks as in `tests/scale/test_attacks.py`, where what is refused to them is counted. The attacker
runs on this machine, too, and takes its share of the processor.
"""

from __future__ import annotations

import asyncio
import sys

from benchmarks.server import valkey
from tests.testkit.attack import ATTACKS
from tests.testkit.forge import SECRET
from tests.testkit.honest import Seen, besieged
from tests.testkit.service import Service

ROUNDS = 60
# The readers stay for as long as it takes.
ENV = {"GAPLESS_JWT_SECRET": SECRET, "GAPLESS_LIFETIME": "3000"}


def main() -> None:
    """Measure each attack on one `gapless serve`."""
    print(f"Python {sys.version.split()[0]}; p99 in ms: reply to a post, its delivery; and times what it was before")
    with valkey() as url, Service(ENV | {"REDIS_URL": url}) as service:
        asyncio.run(measure(service.port or 0))


async def measure(port: int) -> None:
    """One line for each attack, and one for all that was quiet."""
    quiet = Seen()
    async for siege in besieged(port, dict.fromkeys(ATTACKS, ROUNDS)):
        quiet.add(siege.quiet)
        times = [
            now / before for now, before in zip(siege.attacked.within(0.99), siege.quiet.within(0.99), strict=True)
        ]
        print(
            f"{siege.name:12}{row(siege.attacked)}{times[0]:8.1f}{times[1]:8.1f}  refused {len(siege.attacked.refused)}"
        )
    print(f"{'quiet':12}{row(quiet)}")


def row(seen: Seen) -> str:
    return "".join(f"{seconds * 1e3:10.1f}" for seconds in seen.within(0.99))
