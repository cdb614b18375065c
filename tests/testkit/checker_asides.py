"""What a reader was told around messages: signals, receipts, presence. Pure. (docs/protocol.md, section 9)"""

from __future__ import annotations

from typing import TYPE_CHECKING

from tests.testkit.asides import Present, Receipts, Signalled
from tests.testkit.checker_findings import Finding
from tests.testkit.history import Rewritten, Wiped
from tests.testkit.positions import parse_message_id
from tests.testkit.reader_log import Reconnected, Restarted

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from tests.testkit.asides import Marks
    from tests.testkit.checker_findings import Kind
    from tests.testkit.history import History
    from tests.testkit.reader_log import ReaderLog, Seen


def judge_asides(history: History) -> Iterator[Finding]:
    """A signal that came twice, a mark that went down, and whoever does not know at the end what is so."""
    lost = {fact.channel for fact in history.facts if isinstance(fact, Wiped | Rewritten)}
    for log in history.readers.values():
        yield from _signals(log)
        for channel in dict.fromkeys(log.channels):
            marked = Marked(log, channel, lossy=history.lossy or channel in lost)
            yield from marked.run()
            if log.around:
                yield from _at_rest(log, channel, "receipt", marked.rested, history.final_marks.get(channel))
                users = _users(log.events[: log.rested], channel)
                yield from _at_rest(log, channel, "presence", users, history.final_users.get(channel))


def _signals(log: ReaderLog) -> Iterator[Finding]:
    """Each at most once, over all connections."""
    seen: dict[tuple[str, str], int] = {}
    for index, event in enumerate(log.events):
        if isinstance(event, Signalled):
            first = seen.setdefault((event.channel, event.nonce), index)
            if first != index:
                detail = f"the signal {event.nonce} came again"
                yield Finding("signal", event.channel, detail, log.name, (first, index))


class Marked:
    """The marks of one channel as one reader is told them. On one connection they only go up.

    Another connection may be one to a process that has not heard all yet; it tells the whole first. `rested`: what it
    knew at the end.
    """

    def __init__(self, log: ReaderLog, channel: str, *, lossy: bool) -> None:
        self.known: dict[str, Marks] | None = None
        self.rested: dict[str, Marks] | None = None
        self._log, self._channel, self._lossy = log, channel, lossy

    def run(self) -> Iterator[Finding]:
        end = len(self._log.events) if self._log.rested is None else self._log.rested
        for index, event in enumerate(self._log.events):
            if index == end:
                self.rested = self.known
            if isinstance(event, Reconnected | Restarted):
                self.known = None
            elif isinstance(event, Receipts) and event.channel == self._channel:
                yield from self._told(index, event)
        if end == len(self._log.events):
            self.rested = self.known

    def _told(self, index: int, event: Receipts) -> Iterator[Finding]:
        held = self.known or {}
        if self.known is None and not event.whole:
            yield self._finding("what has risen came before the whole", index)
        for user, marks in held.items():
            now = event.marks.get(user, (None, None) if event.whole else marks)
            if not (event.whole and self._lossy) and not all(map(_reaches, now, marks)):
                yield self._finding(f"{user} went down from {marks} to {now}", index)
        self.known = dict(event.marks) if event.whole else held | event.marks

    def _finding(self, detail: str, index: int) -> Finding:
        return Finding("receipt", self._channel, detail, self._log.name, (index,))


def _reaches(now: str | None, before: str | None) -> bool:
    """This mark is as far as that one, by epoch and seq."""
    here, there = (parse_message_id(mark) if mark else None for mark in (now, before))
    return there is None or (here is not None and (here.epoch, here.seq) >= (there.epoch, there.seq))


def _users(events: Sequence[Seen], channel: str) -> frozenset[str] | None:
    """Who is there, as far as these events tell; None where they do not."""
    users: frozenset[str] | None = None
    for event in events:
        if isinstance(event, Reconnected | Restarted):
            users = None
        elif isinstance(event, Present) and event.channel == channel:
            joined = None if event.joined is None else frozenset(event.joined)
            if event.whole or joined is None:
                users = joined
            elif users is not None:
                users = (users | joined) - frozenset(event.left)
    return users


def _at_rest(log: ReaderLog, channel: str, kind: Kind, known: object, wanted: object) -> Iterator[Finding]:
    if wanted is not None and known != wanted:
        yield Finding(kind, channel, f"at the end it knows {known}, and what holds is {wanted}", log.name, ())
