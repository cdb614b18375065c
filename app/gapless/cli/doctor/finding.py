"""What a check found, in words that a person understands. Pure."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from enum import StrEnum
from typing import Any


class State(StrEnum):
    """How it is. A note asks for nothing; what was skipped was not tried, and says why."""

    OK = "ok"
    NOTE = "note"
    FAIL = "fail"
    SKIP = "skip"


@dataclass(frozen=True, slots=True)
class Finding:
    """One line of the report. `change`: what to do, where it fails. `figures`: what was measured, for programs."""

    check: str
    state: State
    said: str
    change: str = ""
    figures: dict[str, Any] = field(default_factory=dict)

    def told(self) -> dict[str, Any]:
        """As a JSON object."""
        change = {"change": self.change} if self.change else {}
        return {"check": self.check, "state": str(self.state), "said": self.said, **change, **self.figures}


def ok(check: str, said: str, **figures: Any) -> Finding:
    """As it should be."""
    return Finding(check, State.OK, said, figures=figures)


def note(check: str, said: str, **figures: Any) -> Finding:
    """Good to know."""
    return Finding(check, State.NOTE, said, figures=figures)


def fail(check: str, said: str, change: str, **figures: Any) -> Finding:
    """Wrong, and what to change."""
    return Finding(check, State.FAIL, said, change, figures)


def skip(check: str, said: str) -> Finding:
    """Not tried."""
    return Finding(check, State.SKIP, said)


def failing(findings: Sequence[Finding]) -> list[Finding]:
    """Those that fail."""
    return [one for one in findings if one.state is State.FAIL]


def verdict(findings: Sequence[Finding]) -> str:
    """The sum, in one sentence."""
    wrong = [one.check for one in failing(findings)]
    if not wrong:
        return "All good."
    return f"{len(wrong)} of {len(findings)} checks fail: {', '.join(wrong)}."
