"""What happened in a run: what publishers were answered, what readers saw, what the test did to the log.

Collected by tests, judged by `checker.check`. Pure: order is the order of recording, nothing has a time.
"""

from __future__ import annotations

import json
from collections.abc import Hashable, Iterable, Mapping
from dataclasses import dataclass
from typing import Any, Literal

from tests.testkit.asides import Marks
from tests.testkit.reader_log import ReaderLog

Outcome = Literal["acked", "duplicate", "unknown", "refused"]


def content_key(data: Any) -> str:
    """Any JSON value as one string: equal values give equal strings, whatever their key order."""
    return json.dumps(data, sort_keys=True, separators=(",", ":"), ensure_ascii=False)


@dataclass(frozen=True, slots=True)
class Published:
    """One attempt to publish one message, as its publisher was answered.

    `publisher` is the `user` under which a `local_id` is remembered. `id` is None unless `acked` (201) or
    `duplicate` (200). An attempt that timed out or got a 503 is `unknown`; any other 4xx is `refused`.
    `begun` is `History.tick()` taken before the request was sent; it matters only beside `rewritten(kept=…)`.
    """

    channel: str
    publisher: str
    local_id: str | None
    content_key: Hashable
    outcome: Outcome
    id: str | None = None
    begun: int = 0


@dataclass(frozen=True, slots=True)
class Trimmed:
    """The channel's log was trimmed up to and including this id."""

    channel: str
    up_to: str


@dataclass(frozen=True, slots=True)
class Rewritten:
    """The newest part of the log is gone (a failover): exactly `ids`, oldest first; or all after `kept`.

    `kept` is for when nobody can list them. Then what the final log holds decides which ids after `kept` are gone,
    and only messages whose request had begun by the tick `at` may be missing for it.
    """

    channel: str
    ids: tuple[str, ...] = ()
    kept: str | None = None
    at: int = 0


@dataclass(frozen=True, slots=True)
class Wiped:
    """The whole log is gone: deleted, evicted, expired. `ids` are what it held, oldest first; empty: not known."""

    channel: str
    ids: tuple[str, ...] = ()


Fact = Trimmed | Rewritten | Wiped


@dataclass(frozen=True, slots=True)
class Logged:
    """One entry of the final log. `publisher` and `local_id` where the entry tells them."""

    id: str
    content_key: Hashable
    publisher: str | None = None
    local_id: str | None = None


class History:
    """A whole run. Facts are recorded in the order in which they happened.

    A channel whose final log is given is judged against it; without, only facts excuse what is not there.
    `final_marks` and `final_users`, by channel: the receipts that hold at the end, and who has a stream then; see
    `rest`. `lossy`: the store may have lost marks without a fact that tells of it.
    `retention`: `GAPLESS_RETENTION` of the service, in seconds.
    """

    def __init__(self, *, retention: float = 86_400) -> None:
        self.retention = retention
        self.published: list[Published] = []
        self.readers: dict[str, ReaderLog] = {}
        self.facts: list[Fact] = []
        self.logs: dict[str, tuple[Logged, ...]] = {}
        self.expected_until: dict[str, str] = {}
        self.final_marks: dict[str, Mapping[str, Marks]] = {}
        self.final_users: dict[str, frozenset[str]] = {}
        self.lossy = False
        self._ticks = 0

    @property
    def names(self) -> set[str]:
        """Channels that were written or read, those who wrote, and readers."""
        written = {name for one in self.published for name in (one.channel, one.publisher)}
        return written | {*self.readers} | {name for log in self.readers.values() for name in log.channels}

    def tick(self) -> int:
        """A number larger than all before it: the order of requests and facts."""
        self._ticks += 1
        return self._ticks

    def publish(
        self,
        channel: str,
        publisher: str,
        content_key: Hashable,
        outcome: Outcome,
        id: str | None = None,
        *,
        local_id: str | None = None,
        begun: int = 0,
    ) -> None:
        """Record an answer, or that none came."""
        self.published.append(Published(channel, publisher, local_id, content_key, outcome, id, begun))

    def reader(
        self,
        name: str,
        channels: Iterable[str] | str,
        start: str | None = None,
        *,
        must_reach_head: bool = False,
        around: bool = False,
    ) -> ReaderLog:
        """A new reader's log. `channels` in the order its requests name them. ValueError for a name in use."""
        if name in self.readers:
            raise ValueError(f"two readers named {name!r}")
        named = (channels,) if isinstance(channels, str) else tuple(channels)
        self.readers[name] = ReaderLog(name, named, start or None, must_reach_head, around=around)
        return self.readers[name]

    def trimmed(self, channel: str, up_to: str) -> None:
        self.facts.append(Trimmed(channel, up_to))

    def rewritten(self, channel: str, ids: Iterable[str] = (), *, kept: str | None = None) -> None:
        self.facts.append(Rewritten(channel, tuple(ids), kept, self.tick()))

    def wiped(self, channel: str, ids: Iterable[str] = ()) -> None:
        self.facts.append(Wiped(channel, tuple(ids)))

    def final_log(self, channel: str, entries: Iterable[Logged | tuple[str, Hashable]]) -> None:
        """What the channel's log holds at the end, oldest first."""
        self.logs[channel] = tuple(e if isinstance(e, Logged) else Logged(*e) for e in entries)

    def rest(self, marks: Mapping[str, Mapping[str, Marks]], users: Mapping[str, Iterable[str]]) -> None:
        """All is quiet: the readers `around` must know by now what is so. What they see later is not judged by it."""
        self.final_marks.update(marks)
        self.final_users.update((channel, frozenset(found)) for channel, found in users.items())
        for log in self.readers.values():
            log.rested = len(log.events)

    def expect_until(self, heads: Mapping[str, str]) -> None:
        """The id per channel that readers with `must_reach_head` must have reached."""
        self.expected_until.update(heads)
