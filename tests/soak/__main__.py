"""`make soak`: random faults for a given time, then the checker's verdict and all counts as JSON; 1 unless all is well.

    python -m tests.soak --seconds 60 --seed 7 --store both --json soak.json

Drawn from the seed: which faults strike in which order and how, and who reads what. The moments are the machine's.
"""

from __future__ import annotations

import argparse
import asyncio
import gc
import json
import os
import pickle
import platform
import subprocess
import sys
import tempfile
from pathlib import Path
from random import SystemRandom
from time import monotonic, strftime
from typing import Any

from tests.soak.traces import traces
from tests.soak.world import World
from tests.testkit.pace import Pace
from tests.testkit.process import Process

LONG = 300.0
"""Seconds after which a soak counts as long: it posts half as fast, for all that is seen is kept to the end."""


def _arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="python -m tests.soak")
    parser.add_argument("--seconds", type=float, default=60)
    parser.add_argument("--seed", type=int, default=None)
    parser.add_argument("--store", choices=["tcp", "upstash", "both"], default="both")
    parser.add_argument("--readers", type=int, default=240, help="in all")
    parser.add_argument("--publishers", type=int, default=48, help="in all")
    parser.add_argument("--pages", type=int, default=10, help="in all, in Chromium; 0 for none")
    parser.add_argument("--json", type=Path, help="a file for what is printed, too")
    parser.add_argument("--keep", type=Path, help="a file for all that was seen (a pickle of the checker's histories)")
    return parser.parse_args()


async def soak(options: argparse.Namespace, folder: Path) -> dict[str, Any]:
    """Play all worlds side by side; the report."""
    kinds = ["tcp", "upstash"] if options.store == "both" else [options.store]
    pace = Pace(0.25 if options.seconds <= LONG else 0.5)
    sizes = {name: getattr(options, name) // len(kinds) for name in ("readers", "publishers", "pages")}
    worlds = [World(kind, options.seconds, options.seed, pace, **sizes) for kind in kinds]
    keeping, began = asyncio.create_task(pace.keep()), monotonic()
    async with asyncio.TaskGroup() as group:
        for world in worlds:
            group.create_task(world.play(folder / world.kind))
    keeping.cancel()
    _say(f"played for {monotonic() - began:.0f} s; the checker looks")
    reports = [world.report(world.verdict()) for world in worlds]
    if options.keep:
        options.keep.write_bytes(pickle.dumps([world.scene.history for world in worlds]))
    return {
        "ok": all(report["ok"] for report in reports),
        "seed": options.seed,
        "commit": _commit(),
        "date": strftime("%Y-%m-%d %H:%M"),
        "machine": f"{os.cpu_count()} cores, Python {platform.python_version()}",
        "harness": {"late at most": round(pace.worst, 2), "pause between posts": round(pace.mean, 2)},
        "worlds": reports,
    }


def _commit() -> str:
    """What is checked out, as far as git knows; `GAPLESS_SOAK_COMMIT` for a tree without git."""
    told = subprocess.run(["git", "describe", "--always", "--dirty"], capture_output=True, text=True, check=False)
    return told.stdout.strip() or os.environ.get("SOAK_COMMIT", "unknown")


def _say(text: str) -> None:
    print(text, file=sys.stderr, flush=True)


def main() -> int:
    options = _arguments()
    options.seed = SystemRandom().getrandbits(32) if options.seed is None else options.seed
    _say(f"soak: {options.store}, {options.seconds:g} s, seed {options.seed}")
    gc.set_threshold(200_000, 20, 100)  # all that is seen is kept: to go through it again and again takes seconds
    with tempfile.TemporaryDirectory(prefix="soak-") as folder:
        try:
            report = asyncio.run(soak(options, Path(folder)))
        except BaseException:
            _say("\n".join(line for process in Process.started for line in traces(process)))
            raise
    text = json.dumps(report, indent=1, ensure_ascii=False)
    print(text)
    if options.json:
        options.json.write_text(text + "\n")
    return 0 if report["ok"] else 1


if __name__ == "__main__":
    sys.exit(main())
