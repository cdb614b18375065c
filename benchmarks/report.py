"""The table of `docs/performance.md`, made of the run that was kept: no figure on that page is typed by hand."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

KEPT, PAGE = Path("docs", "performance.json"), Path("docs", "performance.md")
OPENS, CLOSES = '<!-- figures: make bench ARGS="table --keep" -->\n', "<!-- end of figures -->\n"
OURS = "gapless serve"
UNITS = {
    "us_cpu": "µs of processor",
    "p50_ms": "p50, ms",
    "p99_ms": "p99, ms",
    "per_second": "a second",
    "kib": "KiB resident",
    "redis_bytes": "bytes from Redis for each delivered",
}


def keep(run: dict[str, Any]) -> None:
    """This is the run that the page shows."""
    KEPT.write_text(json.dumps(run, indent=1) + "\n")
    PAGE.write_text(shown(PAGE.read_text(), run))


def shown(page: str, run: dict[str, Any]) -> str:
    """The page with the figures of this run."""
    before, _, rest = page.partition(OPENS)
    _, _, after = rest.partition(CLOSES)
    return f"{before}{OPENS}\n{_machine(run)}\n\n{_table(run['rows'])}\n{CLOSES}{after}"


def _machine(run: dict[str, Any]) -> str:
    on = run["machine"]
    versions = [f"{name} {told}" for name, told in on.items() if told and name not in ("cores", "system", "python")]
    return (
        f"Commit `{run['commit']}`, medians of {run['rounds']} turns on {on['cores']} cores, Python {on['python']}.\n"
        f"{', '.join(versions)}."
    )


def _table(rows: dict[str, Any]) -> str:
    lines = ["| what | figure | Gapless | beside it |", "|---|---|---|---|"]
    lines += [line for name, found in rows.items() for line in _lines(name, found)]
    return "\n".join(lines) + "\n"


def _lines(name: str, found: dict[str, dict[str, float]]) -> list[str]:
    """One for each figure; the row's name stands in the first."""
    ours = found[OURS]
    each = []
    for figure, value in ours.items():
        beside = [f"{who} {_number(told[figure])}" for who, told in found.items() if who != OURS and figure in told]
        each.append(f"| {'' if each else name} | {UNITS[figure]} | {_number(value)} | {', '.join(beside)} |")
    return each


def _number(value: float) -> str:
    return f"{value:,.0f}" if value >= 100 else f"{value:.3g}"
