"""Counts what goes to a store, whatever carries it."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from gapless.runtime.counters import StoreCounters
from gapless.stores.scripts import script_name

UNCOUNTED = frozenset({"PING", "ASKING"})
"""What keeps connections alive, or stands before another command."""


class Traffic:
    """What the transports of one store report to its counters."""

    def __init__(self, counters: StoreCounters | None = None) -> None:
        self._counters = counters or StoreCounters()

    def sent(self, command: Sequence[Any]) -> None:
        """This command has left, or may have."""
        name = command[0]
        if name not in UNCOUNTED:
            script = script_name(command[1]) if name in ("EVALSHA", "EVAL") else ""
            self._counters.commands[name, script] += 1
