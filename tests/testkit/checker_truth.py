"""What can be known about one channel's log: what was in it, what left it and how. Pure."""

from __future__ import annotations

import math
from collections import defaultdict
from itertools import pairwise
from typing import TYPE_CHECKING

from tests.testkit.history import History, Logged, Rewritten, Trimmed, Wiped
from tests.testkit.positions import Position, parse_message_id
from tests.testkit.reader_log import Message

if TYPE_CHECKING:
    from collections.abc import Iterator

    from tests.testkit.history import Fact

NEVER = math.inf
"""The removal of an id that was never removed. An id that was trimmed away was not removed either."""


class ChannelTruth:
    """One channel: its final log if given, the facts about it, and every id that anybody met."""

    def __init__(self, log: tuple[Logged, ...] | None, facts: list[Fact], retention: float) -> None:
        self.log = log
        self.facts = facts
        self.retention = retention
        self.places = [place for entry in log or () if (place := parse_message_id(entry.id))]
        self.first = self.places[0] if self.places else None
        self.logged = {entry.id for entry in log or ()}
        self.numbers: dict[tuple[str, int], dict[str, None]] = defaultdict(dict)
        self._before = {b.id: a.id for a, b in _neighbours(self.places)}
        # A publish that is sent again may be written again, under its id: it is removed when it is removed last.
        self._listed: dict[str, list[int]] = defaultdict(list)
        for number, fact in enumerate(facts):
            ids = () if isinstance(fact, Trimmed) else fact.ids
            for id_ in ids:
                self._listed[id_].append(number)
        for id_ in [*self._listed, *self.logged]:
            self.meet(id_)

    def meet(self, id_: str) -> None:
        """Remember that this id was met somewhere."""
        if place := parse_message_id(id_):
            self.numbers[place.epoch, place.seq][id_] = None

    def head(self) -> Position | None:
        """Where a reader that has everything stands: the newest id that is not removed."""
        if self.log is not None:
            return self.places[-1] if self.places else None
        met = (parse_message_id(id_) for ids in self.numbers.values() for id_ in ids)
        return max((p for p in met if p and self.removal(p) == NEVER), default=None)

    def removal(self, place: Position) -> float | None:
        """Which fact removed this id: its number; NEVER, if it is there still or was trimmed; None if unclear.

        The place before an epoch's first message is removed with the epoch.
        """
        if place.id in self.logged:
            return NEVER
        if place.id in self._listed:
            return self._listed[place.id][-1]
        removed: float | bool | None = False
        for number, fact in enumerate(self.facts):
            if isinstance(fact, Rewritten) and self._cut_off(fact, place):
                return number if self._covered(place) else None
            if isinstance(fact, Wiped) and (how := self._wiped(fact, number, place)) is not False:
                removed = how  # by the last that may have: an epoch may begin once more, see above
        if removed is not False:
            return removed
        if self.log is None or self._trimmed_or_start(place):
            return NEVER
        return None

    def accounts_for(self, place: Position, begun: int) -> bool:
        """True where an acknowledged id is in the final log, or facts explain why not, or no log was given.

        `begun`: the tick of the request.
        """
        if self.log is None or place.id in self.logged or place.id in self._listed:
            return True
        if self.trim_bound(place.epoch) >= place.seq:
            return True
        return any(
            self._may_mean(fact, place) for fact in self.facts if not isinstance(fact, Rewritten) or begun <= fact.at
        )

    def was_removed(self, place: Position) -> bool:
        """True where a fact lists this id, or may mean it: what it held may have been published again."""
        if place.id in self._listed or any(self._may_mean(fact, place) for fact in self.facts):
            return True
        wiped = [first for fact in self.facts if isinstance(fact, Wiped) and (first := _first_of(fact))]
        return any(first.epoch == place.epoch and place.seq < first.seq for first in wiped)  # trimmed, and then wiped

    def trim_bound(self, epoch: str) -> int:
        """The highest seq of this epoch that is known to have been trimmed; 0 for none."""
        bounds = [0]
        for fact in self.facts:
            if isinstance(fact, Trimmed):
                last = parse_message_id(fact.up_to)
                bounds.append(last.seq if last and last.epoch == epoch else 0)
            elif isinstance(fact, Wiped) and (first := _first_of(fact)) and first.epoch == epoch:
                bounds.append(first.seq - 1)
        if self.first and self.first.epoch == epoch:
            bounds.append(self.first.seq - 1)
        return max(bounds)

    def shared_bound(self, place: Position) -> int:
        """The last seq before the removal that took `place` away; -1 where its epoch went as a whole or nothing did."""
        if place.id in self._listed:
            return max(_kept(self.facts[number], place.epoch) for number in self._listed[place.id])
        number = self.removal(place)
        if number is None:
            candidates = [b for f in self.facts if (b := _kept(f, place.epoch)) >= 0]
            return max(candidates, default=-1)
        return -1 if number == NEVER else _kept(self.facts[int(number)], place.epoch)

    def follows(self, before: Position, after: Position) -> bool:
        """False where `after`, though next by number, is known to follow another message than `before`.

        Whoever stands before an epoch's first message has seen none of it. The epoch may have gone and, with a publish
        that was sent again, begun anew: nobody can know.
        """
        if not before.seq:
            return True
        known = self._before.get(after.id)
        if known is not None:
            return known == before.id
        gone, later = self.removal(before), self.removal(after)
        return gone is None or later is None or later <= gone

    def was_ever_removed(self, place: Position) -> bool:
        """True where it is not there, or was away for a while and then written again, or nobody can tell."""
        return place.id in self._listed or self.removal(place) != NEVER

    def was_wiped(self) -> bool:
        """True where the log is known to have been removed or rewritten at least once."""
        return any(not isinstance(fact, Trimmed) for fact in self.facts)

    def _may_mean(self, fact: Fact, place: Position) -> bool:
        """A fact that lists no ids could have removed this one."""
        if isinstance(fact, Rewritten):
            return self._cut_off(fact, place)
        return isinstance(fact, Wiped) and not fact.ids and (self.log is None or self._other_epoch(place))

    def _cut_off(self, fact: Rewritten, place: Position) -> bool:
        kept = parse_message_id(fact.kept) if fact.kept else None
        return kept is not None and kept.epoch == place.epoch and place.seq > kept.seq

    def _covered(self, place: Position) -> bool:
        """The final log reaches back to this number, and so tells who is in it."""
        return self.first is not None and self.first.epoch == place.epoch and self.first.seq <= place.seq

    def _wiped(self, fact: Wiped, number: int, place: Position) -> float | bool | None:
        """False: this wipe says nothing about `place`."""
        first = _first_of(fact)
        if first is not None:
            return number if first.epoch == place.epoch and place.seq < first.seq else False
        if self.log is None:
            return None
        return number if self._other_epoch(place) else False

    def _other_epoch(self, place: Position) -> bool:
        return self.log is not None and (self.first is None or self.first.epoch > place.epoch)

    def _trimmed_or_start(self, place: Position) -> bool:
        if self.first is None:
            return False
        return self.first.epoch == place.epoch and place.seq < self.first.seq


class Truth:
    """The truth of each channel, and who published what."""

    def __init__(self, history: History) -> None:
        self.history = history
        facts: dict[str, list[Fact]] = defaultdict(list)
        for fact in history.facts:
            facts[fact.channel].append(fact)
        names = {*facts, *history.logs, *(p.channel for p in history.published)}
        names |= {name for reader in history.readers.values() for name in reader.channels}
        names |= {message.channel for _, _, message in messages(history)}
        self.channels = {
            name: ChannelTruth(history.logs.get(name), facts[name], history.retention) for name in sorted(names)
        }
        self.answered: dict[str, int] = {}
        for index, published in enumerate(history.published):
            if published.id is not None:
                self.answered.setdefault(published.id, index)
                self.channels[published.channel].meet(published.id)
        met: set[str] = set()
        for _, _, message in messages(history):
            if message.id not in met:
                met.add(message.id)
                self.channels[message.channel].meet(message.id)


def messages(history: History) -> Iterator[tuple[str, int, Message]]:
    """Each message that each reader saw, as (reader, index of the event, event)."""
    for name, reader in history.readers.items():
        for index, event in enumerate(reader.events):
            if isinstance(event, Message):
                yield name, index, event


def _neighbours(places: list[Position]) -> Iterator[tuple[Position, Position]]:
    for a, b in pairwise(places):
        if a.epoch == b.epoch and a.seq + 1 == b.seq:
            yield a, b


def _first_of(fact: Wiped) -> Position | None:
    return parse_message_id(fact.ids[0]) if fact.ids else None


def _kept(fact: Fact, epoch: str) -> int:
    """The last seq of `epoch` that a rewriting left in place; -1 where `fact` is none or of another epoch."""
    if not isinstance(fact, Rewritten):
        return -1
    if fact.kept and (kept := parse_message_id(fact.kept)) and kept.epoch == epoch:
        return kept.seq
    first = parse_message_id(fact.ids[0]) if fact.ids else None
    return first.seq - 1 if first and first.epoch == epoch else -1
