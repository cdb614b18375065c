"""What a client that nobody here wrote saw of a stream, over all its reconnects."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import NamedTuple

OWN_EVENTS = ("hello", "gap", "end", "receipt", "presence", "signal", "live", "beat")
"""The service's own event names. An EventSource hears only the names it was told to listen for."""


class Seen(NamedTuple):
    """One event as a listener got it. `id` is the last event id, which outlives blocks without one."""

    id: str
    event: str
    data: str


@dataclass
class Sight:
    """All that one client saw so far."""

    seen: list[Seen] = field(default_factory=list)
    """Every event, in order."""
    opens: int = 0
    """Connections that were answered with a stream."""
    errors: int = 0
    """Connections that failed or ended, as far as the client tells."""
    closed: bool = False
    """The client has stopped for ever."""

    @property
    def reconnects(self) -> int:
        return max(0, self.opens - 1)

    @property
    def messages(self) -> list[Seen]:
        """Events that are not the service's own."""
        return [seen for seen in self.seen if seen.event not in OWN_EVENTS]

    def of(self, event: str) -> list[Seen]:
        """Events named `event` (`message` for blocks without a name)."""
        return [seen for seen in self.seen if seen.event == event]
