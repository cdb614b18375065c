"""`python -m benchmarks [name…]`: run them all, or those named. `table --keep` writes docs/performance.md anew."""

from __future__ import annotations

import importlib
import sys

NAMES = [
    "table",
    "fanout",
    "publish",
    "reads",
    "crowd",
    "deletion",
    "page",
    "attacks",
    "lambda_turns",
    "lambda_start",
    "vercel_cold",
]
"""What runs without a name."""
LONG = ["memory"]
"""Twenty minutes and more: only by name."""


def main(names: list[str]) -> int:
    """Run each and print what it found."""
    for name in [name for name in names if name != "--keep"] or NAMES:
        if name not in NAMES + LONG:
            print(f"There is no benchmark {name}; there are {', '.join(NAMES + LONG)}.", file=sys.stderr)
            return 2
        print(f"== {name}", flush=True)
        importlib.import_module(f"benchmarks.{name}").main()
    return 0


sys.exit(main(sys.argv[1:]))
