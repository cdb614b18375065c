"""What happened behind a front: what a bill and a log would show."""

from __future__ import annotations

import json
from dataclasses import dataclass, field
from math import ceil
from typing import TYPE_CHECKING, Any

from .fronts import Fault

if TYPE_CHECKING:
    from pathlib import Path

LEFTOVERS = "leftovers "


@dataclass(slots=True)
class Invocation:
    """One run of the handler. Durations in milliseconds; `init_ms` is 0 unless the run was a cold start."""

    request_id: str
    environment: int
    init_ms: float = 0.0
    duration_ms: float = 0.0
    event_bytes: int = 0
    result_bytes: int = 0
    fault: Fault | None = None

    @property
    def cold(self) -> bool:
        return self.init_ms > 0

    @property
    def billed_ms(self) -> int:
        """Whole milliseconds, the start included, as Lambda has billed it since August 2025."""
        return ceil(self.init_ms + self.duration_ms)


@dataclass(slots=True)
class EnvironmentRecord:
    """One execution environment: one process, for as long as it lived."""

    number: int
    pid: int
    log_file: Path
    stopped: int = 0
    ended: str | None = None
    _kept: str | None = None

    @property
    def log(self) -> str:
        """Everything the process wrote to stdout and stderr, up to now."""
        return self._kept if self._kept is not None else self.log_file.read_text(errors="replace")

    def keep_log(self) -> None:
        """Holds the log in memory, before its file goes."""
        self._kept = self.log


@dataclass(slots=True)
class Stats:
    """Counts of one front. `invocations` are in the order of their ends; `answers` are HTTP statuses in order."""

    invocations: list[Invocation] = field(default_factory=list)
    environments: list[EnvironmentRecord] = field(default_factory=list)
    answers: list[int] = field(default_factory=list)
    faults: list[Fault] = field(default_factory=list)
    busy: int = 0
    peak: int = 0

    @property
    def cold_starts(self) -> int:
        return sum(invocation.cold for invocation in self.invocations)

    @property
    def timeouts(self) -> int:
        """Invocations killed at the function's timeout."""
        return sum(invocation.fault is Fault.FUNCTION_TIMEOUT for invocation in self.invocations)

    @property
    def failures(self) -> int:
        """Invocations that ended in any fault, timeouts included."""
        return sum(invocation.fault is not None for invocation in self.invocations)

    @property
    def throttles(self) -> int:
        return self.faults.count(Fault.THROTTLED)

    @property
    def billed_ms(self) -> int:
        return sum(invocation.billed_ms for invocation in self.invocations)

    @property
    def durations_ms(self) -> list[float]:
        return [invocation.duration_ms for invocation in self.invocations]

    @property
    def log(self) -> str:
        """The logs of all environments, one after the other."""
        return "".join(f"--- {record.number} ---\n{record.log}" for record in self.environments)

    @property
    def leftovers(self) -> dict[str, list[str]]:
        """Tasks and timers still pending when a handler had returned, by request id: only with `watch_leftovers=True`.

        Every finished invocation has an entry; a clean one is empty.
        """
        return {report["request_id"]: report["tasks"] for report in self._reports()}

    @property
    def left_ms(self) -> dict[str, int]:
        """What was left of its timeout when a handler had returned, by its own clock, by request id. As `leftovers`."""
        return {report["request_id"]: report["left_ms"] for report in self._reports()}

    def _reports(self) -> list[dict[str, Any]]:
        lines = (line for record in self.environments for line in record.log.splitlines())
        return [json.loads(line[len(LEFTOVERS) :]) for line in lines if line.startswith(LEFTOVERS)]
