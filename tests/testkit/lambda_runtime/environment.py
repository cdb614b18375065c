"""One execution environment: one process, one request at a time, stopped in between."""

from __future__ import annotations

import asyncio
import json
import os
import signal
import time
from dataclasses import dataclass
from typing import TYPE_CHECKING

from .fronts import Fault, Stamp
from .fronts.port import RESULT_LIMIT
from .stats import EnvironmentRecord

if TYPE_CHECKING:
    from asyncio.subprocess import Process
    from pathlib import Path

    from .interpreter import FunctionSpec, Launch


@dataclass(frozen=True, slots=True)
class Delivery:
    """An event on its way to the runtime."""

    stamp: Stamp
    event: bytes
    deadline_ms: int


@dataclass(frozen=True, slots=True)
class Outcome:
    """The function's JSON, or the fault; `payload` of a fault is what Lambda tells a caller of it."""

    payload: bytes
    fault: Fault | None = None


def failure(fault: Fault, message: str, kind: str = "Runtime.ExitError") -> Outcome:
    """An outcome in the words Lambda has for errors."""
    return Outcome(json.dumps({"errorType": kind, "errorMessage": message}).encode(), fault)


class Environment:
    """Owns a process and is the other end of its Runtime API.

    States: starting, until the runtime first asks for an event; then idle (frozen, if the function freezes) and busy
    in turns; dead, once the process has ended. The runtime's requests come in through `next` and `settle`.
    """

    def __init__(self, number: int, port: int, spec: FunctionSpec, launch: Launch, log_file: Path) -> None:
        self.record = EnvironmentRecord(number, 0, log_file)
        self.port = port
        self.init_ms = 0.0
        self._spec, self._launch = spec, launch
        self._deliveries: asyncio.Queue[Delivery | None] = asyncio.Queue()
        self._asked = asyncio.Event()
        self._running: str | None = None
        self._settled: asyncio.Future[Outcome] = asyncio.get_running_loop().create_future()
        self._process: Process
        self._ended: asyncio.Task[int] | None = None
        """None before there is a process."""

    @property
    def alive(self) -> bool:
        return self._ended is not None and not self._ended.done()

    async def start(self) -> Outcome | None:
        """Spawns the process and waits until its runtime asks for an event; returns what went wrong, if so."""
        begun = time.perf_counter()
        with self.record.log_file.open("wb") as log:
            self._process = await asyncio.create_subprocess_exec(
                *self._launch.command,
                cwd=self._launch.cwd,
                env=self._launch.env | {"AWS_LAMBDA_RUNTIME_API": f"127.0.0.1:{self.port}"},
                stdin=asyncio.subprocess.DEVNULL,
                stdout=log,
                stderr=log,
                start_new_session=True,
            )
        self.record.pid = self._process.pid
        self._ended = asyncio.create_task(self._process.wait())
        ready = asyncio.create_task(self._asked.wait())
        await self._first(ready, timeout=self._spec.init_timeout)
        ready.cancel()
        self.init_ms = (time.perf_counter() - begun) * 1000
        return None if self._asked.is_set() and self.alive else await self._failed_start()

    async def _failed_start(self) -> Outcome:
        if self._settled.done():
            outcome = self._settled.result()
        elif self.alive:
            outcome = failure(Fault.FUNCTION_ERROR, "INIT timed out", "Sandbox.Timedout")
        else:
            outcome = self._exited()
        await self.kill("never ready")
        return outcome

    async def invoke(self, stamp: Stamp, event: bytes) -> tuple[Outcome, float]:
        """Runs the handler once, at most for the function's timeout (and `late`); also the milliseconds it took.

        Returns when the runtime has asked for the next event (and so is frozen, if it freezes) or is dead.
        """
        self._settled = asyncio.get_running_loop().create_future()
        self._running = stamp.request_id
        self._asked.clear()
        begun = time.perf_counter()
        deadline_ms = int((time.time() + self._spec.timeout) * 1000)
        self._deliveries.put_nowait(Delivery(stamp, event, deadline_ms))
        await self._first(self._settled, timeout=self._spec.timeout + self._spec.late)
        duration_ms = (time.perf_counter() - begun) * 1000
        self._running = None
        return await self._outcome(stamp), duration_ms

    async def _outcome(self, stamp: Stamp) -> Outcome:
        if self._settled.done():
            asked = asyncio.create_task(self._asked.wait())
            await self._first(asked, timeout=self._spec.timeout)
            asked.cancel()
            if not self._asked.is_set():
                await self.kill("never asked again")
            return self._settled.result()
        died = not self.alive
        await self.kill("timed out")
        if died:
            return self._exited()
        message = f"{stamp.request_id} Task timed out after {self._spec.timeout:.2f} seconds"
        return failure(Fault.FUNCTION_TIMEOUT, message, "Sandbox.Timedout")

    def _exited(self) -> Outcome:
        assert self._ended is not None
        return failure(Fault.FUNCTION_ERROR, f"Runtime exited with exit status {self._ended.result()}")

    async def _first(self, awaited: asyncio.Future[Outcome] | asyncio.Task[bool], *, timeout: float) -> None:
        assert self._ended is not None
        done = (awaited, self._ended)
        await asyncio.wait(done, timeout=timeout, return_when=asyncio.FIRST_COMPLETED)

    async def next(self) -> Delivery | None:
        """The runtime asks for an event: this is the moment of the freeze, and the thaw is the event's arrival."""
        fresh = not self._asked.is_set() and self._running is None and self.init_ms == 0
        self._asked.set()
        if self._spec.freeze and not fresh and self._deliveries.empty():
            self._signal(signal.SIGSTOP)
            self.record.stopped += 1
        delivery = await self._deliveries.get()
        if self._spec.freeze:
            self._signal(signal.SIGCONT)
        return delivery

    def settle(self, request_id: str | None, outcome: Outcome) -> bool:
        """The runtime has answered (or, with no id, cannot start); False: it answers what was not asked."""
        if request_id != self._running or self._settled.done():
            return False
        self._settled.set_result(outcome)
        return True

    def answer(self, request_id: str, payload: bytes) -> int:
        """A posted result; the HTTP status for the runtime."""
        if len(payload) > RESULT_LIMIT:
            message = f"Response payload size exceeded maximum allowed payload size ({RESULT_LIMIT} bytes)."
            outcome = failure(Fault.RESULT_TOO_LARGE, message, "Function.ResponseSizeTooLarge")
            return 413 if self.settle(request_id, outcome) else 400
        return 202 if self.settle(request_id, Outcome(payload)) else 400

    async def kill(self, reason: str) -> None:
        """Ends the process and all that it started, stopped or not."""
        if self._ended is None:
            self.record.ended = reason
            return
        if self.alive:
            self.record.ended = reason
            self._signal(signal.SIGKILL)
        status = await self._ended
        self.record.ended = self.record.ended or f"exit status {status}"
        self._deliveries.put_nowait(None)

    def _signal(self, number: signal.Signals) -> None:
        if self.alive:
            os.killpg(self._process.pid, number)
