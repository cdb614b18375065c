"""A function that scales: as many environments as there are requests at once, up to a bound."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING

from .environment import Environment, Outcome, failure
from .fronts import Fault, Stamp
from .stats import Invocation, Stats

if TYPE_CHECKING:
    from pathlib import Path

    from .interpreter import FunctionSpec, Launch


class Function:
    """Takes an idle environment, the one used last first, else starts one: a cold start.

    `by_port` has the environments that exist, by the port of their Runtime API; `ports` bounds their number.
    """

    def __init__(self, spec: FunctionSpec, launch: Launch, scratch: Path, stats: Stats) -> None:
        self.by_port: dict[int, Environment] = {}
        self._spec, self._launch, self._scratch, self._stats = spec, launch, scratch, stats
        self._free: list[int] = []
        self._idle: list[Environment] = []

    def allow(self, ports: list[int]) -> None:
        """So many environments may exist at once."""
        self._free += ports

    async def invoke(self, stamp: Stamp, event: bytes) -> Outcome:
        """One run of the handler, counted."""
        environment = await self._idle_one()
        if environment is None and not self._free:
            return failure(Fault.THROTTLED, "Rate Exceeded.", "TooManyRequestsException")
        self._stats.busy += 1
        self._stats.peak = max(self._stats.peak, self._stats.busy)
        try:
            return await self._run(environment, stamp, event)
        finally:
            self._stats.busy -= 1

    async def _run(self, environment: Environment | None, stamp: Stamp, event: bytes) -> Outcome:
        cold = environment is None
        if environment is None:
            environment = self._new()
            failed = await environment.start()
        else:
            failed = None
        outcome, duration_ms = (failed, 0.0) if failed else await environment.invoke(stamp, event)
        self._stats.invocations.append(
            Invocation(
                stamp.request_id,
                environment.record.number,
                environment.init_ms if cold else 0.0,
                duration_ms,
                len(event),
                len(outcome.payload),
                outcome.fault,
            )
        )
        await self._release(environment)
        return outcome

    async def _idle_one(self) -> Environment | None:
        while self._idle:
            environment = self._idle.pop()
            if environment.alive:
                return environment
            await self._release(environment)
        return None

    def _new(self) -> Environment:
        number, port = len(self._stats.environments) + 1, self._free.pop()
        log_file = self._scratch / f"{number}.log"
        environment = Environment(number, port, self._spec, self._launch, log_file)
        self.by_port[port] = environment
        self._stats.environments.append(environment.record)
        return environment

    async def _release(self, environment: Environment) -> None:
        if environment.alive:
            self._idle.append(environment)
            return
        await environment.kill("died")
        del self.by_port[environment.port]
        self._free.append(environment.port)

    async def close(self) -> None:
        """Ends every environment, busy ones too."""
        await asyncio.gather(*(environment.kill("closed") for environment in self.by_port.values()))
        for record in self._stats.environments:
            record.keep_log()
