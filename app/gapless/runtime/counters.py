"""What has happened in this process since its start, as plain numbers. Pure: who counts does not know who reads.

The parts of a service count here, each the little that it knows. What shows the numbers is in `api/`.
"""

from __future__ import annotations

from collections import Counter

CommandKind = tuple[str, str]
"""A command's name, in capitals, and the name of the script that it runs; '' for any other command."""


class StoreCounters:
    """Commands that were sent to the store; a script is one, whatever it calls inside.

    What opens connections and keeps them alive (AUTH, SELECT, PING) is not counted.
    """

    def __init__(self) -> None:
        self.commands: Counter[CommandKind] = Counter()

    @property
    def sent(self) -> int:
        """All of them together."""
        return self.commands.total()


class Counters:
    """All counters of one service in this process."""

    def __init__(self) -> None:
        self.store = StoreCounters()
