"""What a soak's services have printed that only a defect of ours writes."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from tests.testkit.process import Process


def traces(process: Process) -> list[str]:
    """Lines that only a defect of ours writes, with what comes after them."""
    if not process.name.startswith("service"):
        return []
    lines = process.lines()
    found = [n for n, line in enumerate(lines) if "Traceback" in line or " broke" in line or "could not begin" in line]
    return [line for n in found[:1] for line in lines[max(0, n - 2) : n + 80]]
