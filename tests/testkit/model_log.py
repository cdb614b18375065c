"""What the model store knows of logs and leases. Pure."""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple

from gapless.log.cursor import Position
from gapless.log.entries import Draft, Entry, format_entry
from gapless.log.presence import Attendance, Living

if TYPE_CHECKING:
    from collections.abc import Sequence


def draft(data: str = "1") -> Draft:
    """A message whose data is this JSON."""
    return Draft(b'{"event":"message","user":null,"data":' + data.encode() + b',"localId":null}', "")


def holds(log: Sequence[Entry], place: Position) -> bool:
    """This log has, or had before it was trimmed, a message there."""
    return bool(log) and log[-1].position.epoch == place.epoch and log[-1].position.seq >= place.seq


def chained(head: Position, drafts: Sequence[Draft], marks: Sequence[str], ms: int) -> list[Entry]:
    """The drafts as entries that follow `head`, each the one before."""
    added: list[Entry] = []
    for one, mark in zip(drafts, marks, strict=True):
        added.append(Entry(Position(head.epoch, head.seq + 1, mark), head.mark, ms, one.body))
        head = added[-1].position
    return added


def as_of(moment: float, past: Sequence[tuple[float, list[Entry]]], log: list[Entry]) -> list[Entry]:
    """The log as it was then. `past`: what it was, each until when."""
    return next((older for until, older in past if until > moment), log)


def fitting(entries: list[Entry], most: int) -> list[Entry]:
    """As many of the first as fit, but one."""
    size = 0
    for number, entry in enumerate(entries):
        size += len(format_entry(entry)) + 160
        if size > most and number:
            return entries[:number]
    return entries


def joins(log: list[Entry], found: list[Entry], back: bool, beside: Position) -> bool:
    if back:
        return beside in [entry.position for entry in log]
    before = found[0].before if found else None
    return before == beside or (not beside.epoch and before is not None and before.mark == beside.mark)


class Attended(NamedTuple):
    """What an attendance has changed; `renewed` is how many leases were written."""

    living: Living
    renewed: int
    joined: list[str]
    left: list[str]


def attend(leases: dict[str, int], asked: Attendance, now: int) -> Attended:
    """Renew and end leases as a store does; milliseconds."""
    living = {user: end for user, end in leases.items() if end > now}
    joined = [user for user in asked.own if user not in living]
    due = [user for user in asked.own if user in joined or living[user] < now + asked.below]
    for user in due:
        leases[user] = living[user] = now + asked.lease
    left = [user for user, end in asked.leavers.items() if user in living and end in (None, living[user])]
    for user in left:
        del leases[user], living[user]
    return Attended(Living(now, dict(list(living.items())[:1000]), len(living)), len(due), joined, left)
