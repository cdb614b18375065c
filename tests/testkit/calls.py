"""How many functions are called: a measure of work that no machine's speed changes."""

from __future__ import annotations

import gc
import sys
from collections.abc import Iterator
from contextlib import contextmanager


class Calls:
    """So far."""

    def __init__(self) -> None:
        self.count = 0


@contextmanager
def calls() -> Iterator[Calls]:
    """Counts calls of functions, also of those written in C, by this thread within the block."""
    made = Calls()

    def note(frame: object, event: str, what: object) -> None:
        made.count += event in ("call", "c_call")

    gc.disable()  # what it finds calls functions, too, and is others' garbage
    sys.setprofile(note)
    try:
        yield made
    finally:
        sys.setprofile(None)
        gc.enable()
