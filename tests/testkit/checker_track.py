"""One reader's way through its channels, event by event, held against the truth. Pure."""

from __future__ import annotations

from typing import TYPE_CHECKING

from tests.testkit.checker_findings import Finding
from tests.testkit.checker_gap import wrong_gap
from tests.testkit.checker_place import Place, Skipped
from tests.testkit.positions import Position, parse_cursor, parse_message_id, parse_position
from tests.testkit.reader_log import Gap, Hello, Message, Reconnected, Restarted

if TYPE_CHECKING:
    from collections.abc import Iterator

    from tests.testkit.checker_findings import Kind
    from tests.testkit.checker_truth import ChannelTruth, Truth
    from tests.testkit.reader_log import ReaderLog


class Track:
    """Feed it a reader's events in order with `run`; it yields what is wrong."""

    def __init__(self, log: ReaderLog, truth: Truth) -> None:
        self.log = log
        self.truth = truth
        self.channels = log.channels
        self.sent = log.start
        self.places: dict[str, Place] = {}
        self._stand_at(log.start, -1)

    def run(self) -> Iterator[Finding]:
        for index, event in enumerate(self.log.events):
            match event:
                case Message():
                    yield from self._message(index, event)
                case Gap():
                    yield from self._gap(index, event)
                case Hello():
                    yield from self._hello(index, event)
                case Reconnected():
                    self._reconnected(index, event.sent_cursor)
                case Restarted():
                    yield from self._restarted(index, event)
                case _:
                    pass
        yield from self._finish()

    # Coming and going

    def _stand_at(self, cursor: str | None, index: int) -> None:
        """Take each channel's place from the cursor where the reader has none yet."""
        parts = parse_cursor(cursor, len(self.channels)) or [None] * len(self.channels)
        for channel, part in zip(self.channels, parts, strict=True):
            place = self.places.setdefault(channel, Place())
            if place.at is None and part is not None:
                place.go(part, index)

    def _reconnected(self, index: int, sent: str | None) -> None:
        # What was sent never moves a place: a service that leads a client astray must not be believed.
        self.sent = sent
        self._stand_at(sent, index)

    def _restarted(self, index: int, event: Restarted) -> Iterator[Finding]:
        self.sent, self.channels = event.cursor, event.channels
        parts = parse_cursor(event.cursor, len(self.channels)) or [None] * len(self.channels)
        for channel, part in zip(self.channels, parts, strict=True):
            place = self.places.setdefault(channel, Place())
            if part is not None and part == place.at:
                continue
            yield from self._flush(channel, place)
            index_then = place.seen.get(part.id, -1) if part else -1
            place.seen = {id_: at for id_, at in place.seen.items() if at <= index_then}
            place.go(part, index)

    def _hello(self, index: int, event: Hello) -> Iterator[Finding]:
        if event.cursor is None:
            return
        parts = parse_cursor(event.cursor, len(self.channels))
        if parts is None:
            yield self._finding("cursor", self.channels[0], f"hello's id is no cursor: {event.cursor}", index)
            return
        if self.sent is not None and event.cursor != self.sent:
            detail = f"hello moved the cursor from {self.sent} to {event.cursor}"
            yield self._finding("cursor", self.channels[0], detail, index)
        self._stand_at(event.cursor, index)

    # Messages

    def _message(self, index: int, event: Message) -> Iterator[Finding]:
        position = parse_message_id(event.id)
        if event.channel not in self.channels:
            detail = f"a message of a channel that was not asked for: {event.id}"
            yield self._finding("forged", event.channel, detail, index)
            return
        if position is None:
            return  # said by the check of contents
        place = self.places[event.channel]
        if event.id in place.seen:
            detail = f"{event.id} came again, with no reset between"
            yield self._finding("doubled", event.channel, detail, place.seen[event.id], index)
            return
        wrong = list(self._step(event.channel, place, position, index))
        place.seen[event.id] = index
        yield from wrong
        alone = event.cursor == event.id and len(self.channels) == 1
        if not wrong and event.cursor is not None and not alone:
            yield from self._cursor(event.channel, event.cursor, index)

    def _step(self, channel: str, place: Place, to: Position, index: int) -> Iterator[Finding]:
        at, before = place.at, place.event
        if at is None:
            place.go(to, index)
        elif at.nowhere or to.epoch > at.epoch:
            why = self._new_log(channel, at, to)
            if why:
                yield self._finding("gap", channel, f"{why}, and the reader was not told", before, index)
            self._skip(place, to.epoch, 1, to.seq - 1, index)
            place.go(to, index)
        elif to.epoch < at.epoch:
            yield self._finding("reordered", channel, f"epoch went back from {at.id} to {to.id}", before, index)
        elif to.seq <= at.seq:
            yield self._finding("reordered", channel, f"seq went back from {at.id} to {to.id}", before, index)
            if not place.fill(to):
                place.go(to, index)
        else:
            if to.seq == at.seq + 1 and not self._truth(channel).follows(at, to):
                detail = f"{to.id} does not follow {at.id}: the log was rewritten, and the reader was not told"
                yield self._finding("gap", channel, detail, before, index)
            self._skip(place, to.epoch, at.seq + 1, to.seq - 1, index)
            place.go(to, index)

    def _new_log(self, channel: str, at: Position, to: Position) -> str | None:
        """Why going from `at` to `to`, in another log, needs a `reset`; None if it needs none."""
        if not at.nowhere:
            return f"the log of {at.epoch} became that of {to.epoch}"
        if to.second - at.second >= self._truth(channel).retention:
            return f"the log {to.epoch} began a whole retention after {at.id}"
        return None

    def _skip(self, place: Place, epoch: str, low: int, high: int, index: int) -> None:
        if low <= high:
            place.skipped.append(Skipped(epoch, low, high, (place.event, index)))

    def _cursor(self, channel: str, cursor: str, index: int) -> Iterator[Finding]:
        """The id line must be where the reader stands, in every channel of its stream."""
        parts = parse_cursor(cursor, len(self.channels))
        if parts is None:
            yield self._finding("cursor", channel, f"the id line is no cursor: {cursor}", index)
            return
        for name, part in zip(self.channels, parts, strict=True):
            place = self.places[name]
            if place.at is not None and not part.agrees(place.at):
                detail = f"the id line puts {name} at {part.id}, the reader stands at {place.at.id}"
                yield self._finding("cursor", channel, detail, place.event, index)

    # Gaps

    def _gap(self, index: int, event: Gap) -> Iterator[Finding]:
        if event.channel not in self.channels:
            yield self._finding("gap", event.channel, "a gap in a channel that was not asked for", index)
            return
        place = self.places[event.channel]
        on = self._after_gap(event)
        wrong = wrong_gap(event, place.at, on, self._truth(event.channel), self._sent())
        if wrong:
            yield self._finding("gap", event.channel, wrong, place.event, index)
        if event.reason != "trimmed":
            yield from self._flush(event.channel, place)
            place.seen.clear()
        place.go(on, index)
        self._stand_at(event.id, index)  # of several `unknown` gaps only the last carries the cursor
        if not wrong and event.id is not None:
            yield from self._cursor(event.channel, event.id, index)

    def _after_gap(self, event: Gap) -> Position | None:
        """The place from which the stream goes on: the id line's, else just before `oldest`."""
        parts = parse_cursor(event.id, len(self.channels))
        if parts is not None:
            return parts[self.channels.index(event.channel)]
        oldest = parse_message_id(event.oldest) if event.oldest else None
        return oldest.before if oldest else None

    def _sent(self) -> bool:
        """What the reader last sent is a cursor."""
        return parse_cursor(self.sent, len(self.channels)) is not None

    # The end

    def _finish(self) -> Iterator[Finding]:
        for channel, place in self.places.items():
            if self.log.must_reach_head and channel in self.channels:
                yield from self._reach(channel, place)
            yield from self._flush(channel, place)

    def _reach(self, channel: str, place: Place) -> Iterator[Finding]:
        """Note what had not arrived by the end."""
        wanted = self.truth.history.expected_until.get(channel)
        head = parse_position(wanted) if wanted else self._truth(channel).head()
        at, end = place.at, len(self.log.events)
        if head is None or not head.seq:
            return
        if at is None:
            yield self._finding("lost", channel, f"the reader never stood anywhere; the head is {head.id}", -1, end)
        elif at.nowhere:
            self._skip(place, head.epoch, 1, head.seq, end)
        elif at.epoch != head.epoch:
            if not (wanted and at.epoch > head.epoch):
                detail = f"the log of {at.epoch} became that of {head.epoch}, and the reader was not told"
                yield self._finding("gap", channel, detail, place.event, end)
        elif at.seq < head.seq:
            self._skip(place, head.epoch, at.seq + 1, head.seq, end)
        elif not wanted and at != head:
            detail = f"{at.id} is not in the log that ends with {head.id}, and the reader was not told"
            yield self._finding("gap", channel, detail, place.event, end)

    def _flush(self, channel: str, place: Place) -> Iterator[Finding]:
        """What was passed over and never came is lost."""
        truth = self._truth(channel)
        for s in place.skipped:
            first = range(s.low, min(s.high, s.low + 2) + 1)
            ids = [id_ for seq in first for id_ in truth.numbers.get((s.epoch, seq), ())]
            span = f"seq {s.low}" if s.low == s.high else f"seqs {s.low} to {s.high}"
            late = s.events[1] >= len(self.log.events)
            detail = f"{span} of {s.epoch} {'had not arrived at the end' if late else 'never came'}"
            published = tuple(self.truth.answered[id_] for id_ in ids if id_ in self.truth.answered)
            count = s.high - s.low + 1
            yield Finding("lost", channel, detail, self.log.name, s.events, published, count)
        place.skipped.clear()

    # Words

    def _truth(self, channel: str) -> ChannelTruth:
        return self.truth.channels[channel]

    def _finding(self, kind: Kind, channel: str, detail: str, *events: int) -> Finding:
        last = self.log.events[events[-1]] if 0 <= events[-1] < len(self.log.events) else None
        id_ = last.id if isinstance(last, Message) else None
        published = (self.truth.answered[id_],) if id_ in self.truth.answered else ()
        return Finding(kind, channel, detail, self.log.name, events, published)
