"""What is the store asked for while a channel is read and nothing is published? By the service's own count.

`/readyz` tells administrators, as `commands`, how many commands its process has sent so far. Where it does not, or
where the answers come from several processes, the default settings say what it should be.
"""

from __future__ import annotations

import asyncio
from dataclasses import dataclass

from gapless.cli.doctor.finding import Finding, ok
from gapless.cli.doctor.site import Reply, Site

NAME = "idle cost"
SETTLING = 12.0
"""Seconds after the last message until its channel has been looked after and is let go (GAPLESS_LINGER)."""
SHORTEST = 4.0
"""Seconds below which a count tells nothing."""
CHECK = 1
"""Command of the check on which the last reply rests."""
BY_SETTINGS = {"redis": 4.0, "upstash": 0.25}
"""Commands a minute for a channel that is read and quiet, in each process (GAPLESS_RECHECK, docs/performance.md)."""
TURN = 4
"""Commands of a turn in which nothing comes."""


@dataclass(frozen=True, slots=True)
class Seen:
    """`commands` more in so many `seconds`, of one process, without those of the doctor's own question."""

    commands: int
    seconds: float


async def probe(site: Site, until: float) -> Seen | None:
    """Count until then, by the loop's clock, while somebody reads. None where it can't be counted."""
    loop = asyncio.get_running_loop()
    left = until - loop.time()
    settling = min(SETTLING, left / 3)
    if left - settling < SHORTEST:
        return None
    await asyncio.sleep(settling)
    before, began = await _count(site), loop.time()
    await asyncio.sleep(until - began)
    after, ended = await _count(site), loop.time()
    again = await _count(site)
    if before is None or after is None or again is None or not before < after <= again:
        return None
    if again - after > after - before + CHECK:  # in no time more than in all of it: that was another process
        return None
    return Seen(after - before - CHECK, ended - began)


async def _count(site: Site) -> int | None:
    told = (await site.ask("GET", "/readyz")).member("commands")
    return told if isinstance(told, int) else None


def judge(ready: Reply, seen: Seen | None, *, turns: bool) -> list[Finding]:
    """`ready`: what the service told of its store; nothing is said where that was nothing."""
    store = ready.member("store")
    if store is None:
        return []
    if turns:
        said = f"{TURN} commands for each turn in which nothing comes, of each client that waits"
        return [ok(NAME, said, commandsPerTurn=TURN)]
    upstash = str(store).lower().startswith(("upstash", "http"))
    expected = BY_SETTINGS["upstash" if upstash else "redis"]
    if seen is None:
        said = f"by its settings {expected:g} commands a minute for each channel that is read, in each process"
        return [ok(NAME, f"{said} (unless GAPLESS_RECHECK says otherwise)", commandsPerMinute=expected)]
    measured = round(seen.commands * 60 / seen.seconds, 2)
    counted = f"{seen.commands} commands in {seen.seconds:.0f} quiet s, {measured:g} a minute"
    by_settings = f"{expected:g} for each channel that is read"
    figures = {"commandsPerMinute": measured, "measuredSeconds": round(seen.seconds, 1), "bySettings": expected}
    return [ok(NAME, f"{counted}, of all that this process serves (by its settings {by_settings})", **figures)]
