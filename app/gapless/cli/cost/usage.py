"""What a day of a shape takes: requests, commands of the store, memory and processor time. Pure.

The rules are those of `channels/schedule.py` (when a log is read), `platforms/policy.py` (how long a request lives) and
of the scripts (what a publish runs). A simulated day, in which every command is counted, holds them to it within a
tenth (tests/cli/cost/test_day.py).
"""

from __future__ import annotations

import math
from dataclasses import dataclass

from gapless.cli.cost.shape import Platform, Shape

SPREAD = 0.9
"""Of its longest, a stream lives this part on average: its end is spread over the last fifth."""
RETRY, RETRY_TURN = 0.7, 0.1
"""Seconds until a client comes back after a stream, after a turn."""
TURN = 20.0
"""Seconds that a turn waits at most."""
OPENING = 4
"""SUBSCRIBE, two LRANGE, UNSUBSCRIBE: of a channel that begins to be read in a process."""
PUBLISH, RATED = 5, 2
"""Commands of a message with a localId, and of its rate."""
QUIET_AFTER, QUIET_EVERY = 3.0, 60.0
"""Seconds after the last notice, and between two reads for that reason."""

CPU = {"publish": 0.6e-3, "opening": 1.3e-3, "delivery": 20e-6}
"""Seconds of processor time (docs/performance.md). Only Vercel bills it."""


@dataclass(frozen=True, slots=True)
class Usage:
    """A day. `waiting`: environment or instance hours; `gb_hours`: the same times memory."""

    publishes: float
    openings: float
    deliveries: float
    commands: dict[str, float]
    waiting: float
    gb_hours: float
    cpu_hours: float

    @property
    def requests(self) -> float:
        """All."""
        return self.publishes + self.openings

    @property
    def all_commands(self) -> float:
        """Of every kind."""
        return sum(self.commands.values())


def usage(shape: Shape) -> Usage:
    """What a day takes."""
    openings = shape.online * 3600 / _between(shape)
    deliveries = shape.messages * shape.users / shape.channels
    busy = shape.online if shape.platform.alone else shape.hours * shape.processes
    cpu = shape.messages * CPU["publish"] + deliveries * CPU["delivery"] + openings * CPU["opening"]
    return Usage(
        publishes=shape.messages,
        openings=openings,
        deliveries=deliveries,
        commands=_commands(shape, openings),
        waiting=busy,
        gb_hours=busy * shape.memory,
        cpu_hours=cpu / 3600,
    )


def _between(shape: Shape) -> float:
    """Seconds from one request of a reader to his next one."""
    if shape.platform is Platform.LAMBDA:
        return _turn(shape.per_second) + RETRY_TURN
    return SPREAD * shape.lifetime + RETRY


def _turn(per_second: float) -> float:
    """Seconds that a turn lasts: until its end, or until the first message, which comes at random."""
    longest = SPREAD * TURN
    return -math.expm1(-longest * per_second) / per_second if per_second else longest


def _commands(shape: Shape, openings: float) -> dict[str, float]:
    feeds = shape.channels * shape.processes
    counted = {"publish": float(shape.messages * (PUBLISH + RATED * shape.rate))}
    if shape.platform is Platform.LAMBDA:
        return {**counted, "turns": OPENING * openings}
    if shape.platform is Platform.LAMBDA_STREAM:
        reads = shape.online * _reads(shape.per_second, shape.rechecked, SPREAD * shape.lifetime)
        return {**counted, "streams": OPENING * openings, "quiet reads": reads}
    quiet = feeds * shape.hours * _reads(shape.per_second, shape.rechecked, math.inf)
    return {**counted, "openings": float(OPENING * feeds), "quiet reads": quiet}


def _reads(per_second: float, recheck: float, lives: float) -> float:
    """Reads an hour of a channel that is read: at rechecks, and once when notices stop. `lives`: seconds at a time.

    Each read starts the recheck anew. From one read for notices to the next pass 60 s, or as long as the next message
    takes to come and 3 s.
    """
    if not per_second:
        return 3600 / recheck if recheck < lives else 0.0
    late = math.exp(-(QUIET_EVERY - QUIET_AFTER) * per_second)
    between = QUIET_EVERY + late / per_second
    long = (QUIET_EVERY + 1 / per_second) / recheck + 0.5 if recheck < lives else 1.0
    return 3600 / between * ((1 - late) * math.ceil(QUIET_EVERY / recheck) + late * max(long, 1.0))
