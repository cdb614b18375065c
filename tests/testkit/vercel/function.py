"""A deployed function: its instances behind one edge."""

from __future__ import annotations

import asyncio
import random
import signal
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Literal, Self

from tests.testkit.vercel.edge import Edge, Rules
from tests.testkit.vercel.instance import Instance

if TYPE_CHECKING:
    from collections import Counter
    from collections.abc import Mapping

    from tests.testkit.vercel.bundle import Bundle

# What a function has between SIGTERM and its end, in seconds (Vercel's Functions API reference).
GRACE = 0.5


@dataclass(frozen=True)
class Farewell:
    """How an instance ended."""

    instance: Instance
    code: int
    """The exit code, -N for death by signal N; -9 after SIGTERM says that the grace was not enough."""


class VercelFunction:
    """Runs `bundle` as Vercel does: `async with VercelFunction(bundle, env={...}) as fn: ... fn.url ...`

    env           the project's environment variables; the function sees nothing else of this machine
    instances     how many run; each request goes to one of them, at random (`seed`)
    max_duration  seconds until a request is ended; default the built `maxDuration`
    at_deadline   "cut": the answer stops without a last chunk. "kill": the instance dies with it, and with
                  it all other answers that it was giving
    deadline_told whether requests carry their deadline, as on Vercel; a function that is not told is cut off
    cancellation  whether the function hears that a client has left. On Vercel a Python function does not
    freeze        stop the process whenever it has no request, wake it for the next one
    compiled      keep bytecode between starts, because tests start many; else each is as slow as a cold
                  start without bytecode
    check         raise where an instance cannot start, with its log; else requests are answered with 500

    An instance that is gone is replaced by the next request, which waits for its start.
    """

    def __init__(
        self,
        bundle: Bundle,
        *,
        env: Mapping[str, str] | None = None,
        instances: int = 1,
        max_duration: float | None = None,
        at_deadline: Literal["cut", "kill"] = "cut",
        deadline_told: bool = True,
        cancellation: bool = False,
        freeze: bool = False,
        compiled: bool = True,
        check: bool = True,
        seed: int = 0,
    ) -> None:
        self.url = ""
        """Where it is served, without a final slash."""
        self.instances: list[Instance] = []
        """Those that take requests now."""
        self.gone: list[Instance] = []
        """Those that did, in the order of their end."""
        self._bundle, self._count = bundle, instances
        self._env = {**(_bytecode(bundle) if compiled else {}), **(env or {})}
        self._freeze, self._check, self._dice = freeze, check, random.Random(seed)
        self._lock = asyncio.Lock()
        rules = Rules(max_duration or bundle.max_duration, at_deadline, cancellation, deadline_told)
        self._edge = Edge(self._pick, rules)

    @property
    def tally(self) -> Counter[str]:
        """Counts of `requests`, `refused`, `failed`, `cut`, `abandoned`."""
        return self._edge.tally

    @property
    def log(self) -> str:
        """What all instances, past and present, have logged."""
        return "\n".join(instance.log for instance in (*self.gone, *self.instances))

    @property
    def running(self) -> int:
        """Requests whose handler runs now, whether or not anyone listens to it. Wait for a number: the runtime
        reports an end a moment after the answer's last byte."""
        return sum(len(instance.running) for instance in self.instances)

    async def __aenter__(self) -> Self:
        try:
            await self._fill()
        except BaseException:
            await self.__aexit__()
            raise
        self.url = await self._edge.start()
        return self

    async def __aexit__(self, *_: object) -> None:
        await self._edge.close()
        for instance in list(self.instances):
            await self.kill(instance)

    def cut(self, *, after: int = 1) -> int:
        """The deadline of every answer that has begun is now: each passes `after` more bytes, and is cut without
        a last chunk, as `at_deadline` says. How many those are."""
        return self._edge.cut(after)

    def allow(self, seconds: float) -> None:
        """Requests that come from now on are ended after so long."""
        self._edge.rules = replace(self._edge.rules, max_duration=seconds)

    async def terminate(self, instance: Instance | None = None, *, grace: float = GRACE) -> Farewell:
        """What happens at a deployment or when Vercel scales down: no new requests, SIGTERM, SIGKILL after
        `grace` seconds. Without an argument, the first instance."""
        return await self._end(instance, signal.SIGTERM, grace)

    async def kill(self, instance: Instance | None = None) -> Farewell:
        """A crash, or memory used up: SIGKILL. Without an argument, the first instance."""
        return await self._end(instance, signal.SIGKILL, 10.0)

    async def _end(self, instance: Instance | None, number: signal.Signals, grace: float) -> Farewell:
        instance = instance or self.instances[0]
        self.instances.remove(instance)
        self.gone.append(instance)
        return Farewell(instance, await instance.stop(number, grace))

    async def _pick(self) -> Instance | None:
        async with self._lock:
            for dead in [instance for instance in self.instances if not instance.alive]:
                await self.kill(dead)
            await self._fill()
            return self._dice.choice(self.instances) if self.instances else None

    async def _fill(self) -> None:
        while len(self.instances) < self._count:
            number = len(self.instances) + len(self.gone) + 1
            instance = Instance(self._bundle, self._env, name=f"function {number}", freeze=self._freeze)
            self.instances.append(await instance.start())
            if instance.port is None:
                await self.kill(instance)
                if self._check and not self.url:
                    raise RuntimeError(f"{instance.name} did not start:\n{instance.log}")
                return


def _bytecode(bundle: Bundle) -> dict[str, str]:
    """Settings that keep it outside the bundle, which must not be written to."""
    return {"PYTHONPYCACHEPREFIX": str(bundle.root.parent / "bytecode"), "PYTHONDONTWRITEBYTECODE": ""}
