"""What has happened in this process since its start, as plain numbers. Pure: who counts does not know who reads.

The parts of a service count here, each the little that it knows. `api/exposition.py` shows the numbers to Prometheus.
What costs something to know is counted only where somebody wants to see it (`measures`). What a stream was sent is not
counted here at all: each stream knows how many messages it has sent, and is asked when somebody looks.
"""

from __future__ import annotations

from bisect import bisect_left
from collections import Counter
from collections.abc import Sequence
from typing import Protocol

CommandKind = tuple[str, str]
"""A command's name, in capitals, and the name of the script that it runs; '' for any other command."""

SECONDS = (0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0)
"""The bounds of every histogram of seconds."""


class Histogram:
    """How often a value was at most each of the bounds."""

    def __init__(self, bounds: Sequence[float] = SECONDS) -> None:
        self.bounds = bounds
        self.counts = [0] * (len(bounds) + 1)
        """By the least bound that a value does not exceed; the last one is of those above every bound."""
        self.sum = 0.0

    def observe(self, value: float) -> None:
        """Add a value."""
        self.counts[bisect_left(self.bounds, value)] += 1
        self.sum += value


class StoreCounters:
    """Commands that were sent to the store; a script is one, whatever it calls inside.

    What opens connections and keeps them alive (AUTH, SELECT, PING) is not counted. `measures`: bytes are, too.
    """

    def __init__(self, *, measures: bool = False) -> None:
        self.measures = measures
        self.commands: Counter[CommandKind] = Counter()
        self.sent_bytes = self.received_bytes = 0

    @property
    def sent(self) -> int:
        """All of them together."""
        return self.commands.total()


class Counted(Protocol):
    """A stream: it knows how many messages it has sent."""

    messages: int


class StreamCounters:
    """Streams that are open, and those that were."""

    def __init__(self) -> None:
        self.opened = 0
        self.ended: Counter[str] = Counter()
        """By reason."""
        self.refused: Counter[str] = Counter()
        """Those that ended before they began, by reason."""
        self._open: set[Counted] = set()
        self._messages_of_ended = 0

    def begin(self, stream: Counted) -> None:
        """It is open."""
        self.opened += 1
        self._open.add(stream)

    def end(self, stream: Counted, reason: str) -> None:
        """It is open no more."""
        self.ended[reason] += 1
        self._open.discard(stream)
        self._messages_of_ended += stream.messages

    @property
    def open(self) -> int:
        """How many are open now."""
        return len(self._open)

    @property
    def messages(self) -> int:
        """What all of them were sent together."""
        return self._messages_of_ended + sum(stream.messages for stream in self._open)


class PublishCounters:
    """Publications by outcome, what they took, and how many messages they have brought into logs."""

    def __init__(self) -> None:
        self.outcomes: Counter[str] = Counter()
        self.messages = 0
        self.seconds = Histogram()

    def took(self, seconds: float, outcome: str, appended: int = 0) -> None:
        """One has come to its end."""
        self.seconds.observe(seconds)
        self.outcomes[outcome] += 1
        self.messages += appended


class Counters:
    """All counters of one service in this process. `measures`: also what costs something to know."""

    def __init__(self, *, measures: bool = False) -> None:
        self.measures = measures
        self.store = StoreCounters(measures=measures)
        self.streams = StreamCounters()
        self.publishes = PublishCounters()
        self.turns = 0
        """Answers of streams in buffered mode."""
        self.messages: Counter[str] = Counter()
        """Messages that were handed over by turns and pages."""
        self.bytes: Counter[str] = Counter()
        """Bytes of the bodies of turns, pages and, only where it measures, streams."""
        self.reads: Counter[str] = Counter()
        """Reads of logs, by reason."""
        self.notices: Counter[str] = Counter()
        """Messages that notices told of, by what became of them."""
        self.gaps: Counter[str] = Counter()
        """Gaps that were told, by reason."""
        self.delay = Histogram()
        """Seconds from a message's time to its way to the streams. Only where it measures."""
        self.loop_lag = Histogram()
        """Seconds by which the event loop was late for a timer. Only where it measures."""

    def handed_over(self, to: str, messages: int, size: int) -> None:
        """A whole body has been made: a turn, or a page."""
        self.messages[to] += messages
        self.bytes[to] += size

    def noticed(self, told: int, positions: int, applied: int, unproven: int) -> None:
        """Notices told of so many messages and, of those that are too large to travel, positions."""
        self.notices["applied"] += applied
        self.notices["unproven"] += unproven
        self.notices["ignored"] += told - applied - unproven
        self.notices["position"] += positions

    def delayed(self, now: float, times: Sequence[int]) -> None:
        """Messages with these times (milliseconds since 1970) go to the streams at `now` (seconds). A clock that is
        behind the publisher's counts as no delay."""
        for time in times:
            self.delay.observe(max(0.0, now - time / 1000))
