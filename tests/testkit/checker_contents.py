"""Each message against its publication, each key and number against the promises. Pure."""

from __future__ import annotations

from collections import defaultdict
from itertools import pairwise
from typing import TYPE_CHECKING

from tests.testkit.checker_findings import Finding, Kind
from tests.testkit.checker_truth import NEVER, Truth, messages
from tests.testkit.positions import parse_message_id

if TYPE_CHECKING:
    from collections.abc import Hashable, Iterator

    from tests.testkit.checker_truth import ChannelTruth
    from tests.testkit.history import History, Published


def judge_contents(truth: Truth) -> Iterator[Finding]:
    """Forged messages, in the log and as seen by readers; publications that were stored twice."""
    claims = _Claims(truth)
    for channel, log in truth.history.logs.items():
        for entry in log:
            for kind, detail, published in claims.judge(channel, entry.id, entry.content_key, entry.local_id):
                yield Finding(kind, channel, f"in the log: {detail}", None, (), published)
    for reader, index, message in messages(truth.history):
        where = message.channel, message.id, message.content_key, message.local_id
        for kind, detail, published in claims.judge(*where):
            yield Finding(kind, message.channel, detail, reader, (index,), published)


Said = tuple[Kind, str, tuple[int, ...]]


class _Claims:
    """Which publication each id belongs to. An unanswered attempt may have stored one message, once."""

    def __init__(self, truth: Truth) -> None:
        self.truth = truth
        self.owner: dict[str, tuple[str, Hashable]] = {}
        self.told: set[str] = set()
        self.open: dict[tuple[str, Hashable], list[Published]] = defaultdict(list)
        self.by_content: dict[tuple[str, Hashable], list[int]] = defaultdict(list)
        published = truth.history.published
        answered = {_key(p) for p in published if p.id is not None and p.local_id is not None}
        open_keys: set[tuple[str, str, str | None]] = set()
        for index, attempt in enumerate(published):
            self.by_content[attempt.channel, attempt.content_key].append(index)
            key = _key(attempt)
            if attempt.outcome != "unknown" or (attempt.local_id is not None and key in answered | open_keys):
                continue
            if attempt.local_id is not None:
                open_keys.add(key)
            self.open[attempt.channel, attempt.content_key].append(attempt)

    def judge(self, channel: str, id_: str, content: Hashable, local_id: str | None) -> Iterator[Said]:
        """What is wrong with this id having this content, in this channel."""
        if parse_message_id(id_) is None:
            yield "forged", f"{id_!r} is no message id", ()
            return
        if id_ in self.truth.answered:
            yield from self._against_answer(channel, id_, content, local_id)
            return
        if id_ not in self.owner:
            self.owner[id_] = channel, content
            if said := self._unclaimed(channel, id_, content, local_id):
                self.told.add(id_)
                yield said
        elif self.owner[id_] != (channel, content) and id_ not in self.told:
            yield "forged", f"{id_} is {content} of {channel} here, and elsewhere {self.owner[id_]}", ()
        if self._should_be_logged(channel, id_) and id_ not in self.told:
            self.told.add(id_)
            yield "forged", f"{id_} is not in the log, and nothing is known to have removed it", ()

    def _against_answer(self, channel: str, id_: str, content: Hashable, local_id: str | None) -> Iterator[Said]:
        index = self.truth.answered[id_]
        published = self.truth.history.published[index]
        if published.channel != channel:
            yield "forged", f"{id_} was published in {published.channel}, not here", (index,)
        elif published.content_key != content:
            yield "forged", f"{id_} came with another content: {content}", (index,)
        elif local_id is not None and published.local_id != local_id:
            yield "forged", f"{id_} came with another localId: {local_id}", (index,)

    def _unclaimed(self, channel: str, id_: str, content: Hashable, local_id: str | None) -> Said | None:
        attempts = self.open.get((channel, content), [])
        exact = [a for a in attempts if local_id is not None and a.local_id == local_id]
        for attempt in [*exact, *(a for a in attempts if local_id is None or a.local_id is None)]:
            attempts.remove(attempt)
            return None
        known = self.by_content.get((channel, content), [])
        stored = [i for i in known if self.truth.history.published[i].outcome != "refused"]
        place, of = parse_message_id(id_), self.truth.channels[channel]
        if stored and place and of.was_removed(place):
            return None  # removed by a failover, then published again
        if stored and id_ in of.logged:
            return "repeated", f"{id_} is one more than was published of {content}", tuple(stored[:2])
        if known and not stored:
            return "forged", f"{id_} is there, though its publication was refused", tuple(known[:1])
        if known:
            return "forged", f"nobody was answered with {id_}", tuple(known[:1])
        return "forged", f"nobody published {content}, as in {id_}", ()

    def _should_be_logged(self, channel: str, id_: str) -> bool:
        of, place = self.truth.channels[channel], parse_message_id(id_)
        if of.log is None or id_ in of.logged or place is None:
            return False
        return of.removal(place) is None and not of.accounts_for(place, 0)


def _key(published: Published) -> tuple[str, str, str | None]:
    return published.channel, published.publisher, published.local_id


def _content(published: Published) -> tuple[str, Hashable]:
    return published.channel, published.content_key


# What was promised: keys, answers, numbers


def judge_keys(truth: Truth) -> Iterator[Finding]:
    """One (channel, user, localId) with two ids, none of them removed; one id answered to two publications."""
    ids: dict[tuple[str, str, str], dict[str, int | None]] = defaultdict(dict)
    owners: dict[str, tuple[tuple[str, str, str | None] | int, int]] = {}
    for index, published in enumerate(truth.history.published):
        if published.id is None:
            continue
        if published.local_id is not None:
            ids[published.channel, published.publisher, published.local_id].setdefault(published.id, index)
        me = _key(published) if published.local_id is not None else index
        other, first = owners.setdefault(published.id, (me, index))
        # A batch is keyed as a whole: its messages have no key of their own, and a repeat gives the same ids.
        again = published.outcome == "duplicate" and _content(published) == _content(truth.history.published[first])
        if other != me and not again:
            yield Finding("forged", published.channel, "one id for two publications", None, (), (first, index))
    for channel, id_, publisher, local_id in _keyed(truth.history):
        ids[channel, publisher, local_id].setdefault(id_, truth.answered.get(id_))
    for (channel, publisher, local_id), found in ids.items():
        kept = [id_ for id_ in found if not _was_removed(truth.channels[channel], id_)]
        if len(kept) > 1:
            detail = f"localId {local_id} of {publisher} has {len(kept)} ids: {', '.join(kept)}"
            indices = tuple(found_at for id_ in kept if (found_at := found[id_]) is not None)
            yield Finding("repeated", channel, detail, None, (), indices)


def _keyed(history: History) -> Iterator[tuple[str, str, str, str]]:
    for channel, log in history.logs.items():
        for entry in log:
            if entry.publisher is not None and entry.local_id is not None:
                yield channel, entry.id, entry.publisher, entry.local_id
    for _, _, message in messages(history):
        if message.publisher is not None and message.local_id is not None:
            yield message.channel, message.id, message.publisher, message.local_id


def _was_removed(truth: ChannelTruth, id_: str) -> bool:
    place = parse_message_id(id_)
    return place is None or truth.removal(place) != NEVER


def judge_logs(truth: Truth) -> Iterator[Finding]:
    for name, channel in truth.channels.items():
        yield from _missing(truth, name, channel)
        yield from _holes(truth, name, channel)


def _missing(truth: Truth, name: str, channel: ChannelTruth) -> Iterator[Finding]:
    """Answered with an id, and neither in the final log nor explained."""
    told: set[str] = set()
    for index, published in enumerate(truth.history.published):
        if published.channel != name or published.id is None or published.id in told:
            continue
        place = parse_message_id(published.id)
        if place is None:
            told.add(published.id)
            yield Finding("forged", name, f"answered with {published.id!r}, no message id", None, (), (index,))
        elif not channel.accounts_for(place, published.begun):
            told.add(published.id)
            yield Finding("missing", name, f"{published.id} is not in the log", None, (), (index,))


def _holes(truth: Truth, name: str, channel: ChannelTruth) -> Iterator[Finding]:
    """Numbers of an epoch that no message has, and numbers that two have."""
    for a, b in pairwise(channel.places):
        if (b.epoch, b.seq) != (a.epoch, a.seq + 1):
            yield Finding("hole", name, f"in the log {b.id} comes after {a.id}")
    for (epoch, seq), met in channel.numbers.items():
        kept = [id_ for id_ in met if not _was_removed(channel, id_)]
        if len(kept) > 1:
            owners = tuple(truth.answered[id_] for id_ in kept if id_ in truth.answered)
            detail = f"seq {seq} of {epoch} was given to {len(kept)} messages: {', '.join(kept)}"
            yield Finding("forged", name, detail, None, (), owners)
    spare = sum(p.outcome == "unknown" and p.channel == name for p in truth.history.published)
    seqs: dict[str, list[int]] = defaultdict(list)
    for epoch, seq in channel.numbers:
        seqs[epoch].append(seq)
    for epoch, found in seqs.items():
        without = max(found) - min(found) + 1 - len(found)
        if without > spare:
            detail = f"{without} numbers of {epoch} belong to no message, and {spare} attempts are unanswered"
            yield Finding("hole", name, detail, count=without)
