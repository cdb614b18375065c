"""What happened in a run: what publishers were answered, what readers saw, what the test did to the log.

Collected by tests, judged by `checker.check`. Pure: order is the order of recording, nothing has a time.
"""

from __future__ import annotations

import json
from collections.abc import Hashable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Literal

from tests.testkit.asides import Aside, Marks, Present, Receipts, Signalled

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
class Message:
    """A message block. `id` is the message's own; `cursor` the block's `id:` line, where it was seen."""

    channel: str
    id: str
    content_key: Hashable
    cursor: str | None = None
    publisher: str | None = None
    local_id: str | None = None


@dataclass(frozen=True, slots=True)
class Gap:
    """A `gap` event. `id` is the block's `id:` line: the stream's cursor after the gap."""

    channel: str
    reason: str
    missed: int | None
    oldest: str | None
    latest: str | None
    id: str | None


@dataclass(frozen=True, slots=True)
class Reconnected:
    """The reader came back by itself, with the last id it had."""

    sent_cursor: str | None


@dataclass(frozen=True, slots=True)
class Restarted:
    """The reader began elsewhere on purpose: another cursor, other channels."""

    cursor: str | None
    channels: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class Cut:
    """The connection broke without an `end`."""

    why: str = ""


@dataclass(frozen=True, slots=True)
class Hello:
    """A `hello` event; None where its block carried no id."""

    cursor: str | None


@dataclass(frozen=True, slots=True)
class End:
    """An `end` event."""

    reason: str


Seen = Message | Gap | Reconnected | Restarted | Cut | Hello | End | Aside


@dataclass
class ReaderLog:
    """What one reader saw, in order. `start` is the cursor it first sent, None for none.

    With `must_reach_head` it was waited for: it must have arrived at `History.expected_until`, or at the log's head.
    With `around` it asked for receipts and presence, and must know at the end (`rested`: after so many events) what the
    history says that is so.
    """

    name: str
    channels: tuple[str, ...]
    start: str | None = None
    must_reach_head: bool = False
    events: list[Seen] = field(default_factory=list)
    around: bool = False
    rested: int | None = None

    def message(
        self,
        channel: str,
        id: str,
        content_key: Hashable,
        *,
        cursor: str | None = None,
        publisher: str | None = None,
        local_id: str | None = None,
    ) -> None:
        self.events.append(Message(channel, id, content_key, cursor, publisher, local_id))

    def gap(
        self,
        channel: str,
        reason: str,
        missed: int | None,
        oldest: str | None,
        latest: str | None,
        id: str | None,
    ) -> None:
        self.events.append(Gap(channel, reason, missed, oldest, latest, id))

    def reconnected(self, sent_cursor: str | None) -> None:
        self.events.append(Reconnected(sent_cursor or None))

    def restarted(self, cursor: str | None, channels: Iterable[str] | None = None) -> None:
        """A new beginning by the reader's own choice. What it skips or sees again is nobody's fault."""
        now = _channels_of(self.events, self.channels) if channels is None else tuple(channels)
        self.events.append(Restarted(cursor or None, now))

    def cut(self, why: str = "") -> None:
        self.events.append(Cut(why))

    def hello(self, cursor: str | None) -> None:
        self.events.append(Hello(cursor or None))

    def end(self, reason: str) -> None:
        self.events.append(End(reason))

    def signalled(self, channel: str, nonce: str) -> None:
        self.events.append(Signalled(channel, nonce))

    def receipts(self, channel: str, marks: Mapping[str, Marks], *, whole: bool) -> None:
        self.events.append(Receipts(channel, marks, whole))

    def present(self, channel: str, users: Iterable[str] | None) -> None:
        """Everybody; None: only how many."""
        self.events.append(Present(channel, None if users is None else tuple(users), whole=True))

    def came_and_went(self, channel: str, joined: Iterable[str], left: Iterable[str]) -> None:
        self.events.append(Present(channel, tuple(joined), tuple(left)))


def _channels_of(events: Sequence[Seen], first: tuple[str, ...]) -> tuple[str, ...]:
    return next((event.channels for event in reversed(events) if isinstance(event, Restarted)), first)


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
