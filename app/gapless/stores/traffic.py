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

    def sent(self, *commands: Sequence[Any]) -> None:
        """These commands have left, or may have."""
        for command in commands:
            name = command[0]
            if name not in UNCOUNTED:
                script = script_name(command[1]) if name in ("EVALSHA", "EVAL") else ""
                self._counters.commands[name, script] += 1
        if self._counters.measures:
            self._counters.sent_bytes += size_of(commands)

    def received(self, reply: Any) -> None:
        """This has come back."""
        if self._counters.measures:
            self._counters.received_bytes += size_of(reply)


def size_of(value: Any) -> int:
    """Bytes of what a command or a reply says, without the protocol around it."""
    if isinstance(value, bytes):
        return len(value)
    if isinstance(value, str):
        return len(value) if value.isascii() else len(value.encode())
    if isinstance(value, (list, tuple)):
        return sum(map(size_of, value))
    return 0 if value is None else len(str(value))
