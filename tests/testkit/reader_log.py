"""What one reader saw, event by event in order; part of a `History`. Pure."""

from __future__ import annotations

from collections.abc import Hashable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field

from tests.testkit.asides import Aside, Marks, Present, Receipts, Signalled


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
