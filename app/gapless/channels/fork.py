"""Rewritten history: how long a log may lack what was seen of it, and where the new history leaves the old one."""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple

from gapless.channels.bounded import BoundedStore
from gapless.channels.claims import CONFIRM
from gapless.channels.tail import Tail, reset
from gapless.log.cursor import Position
from gapless.log.entries import Entry, Gap, GapReason

READ = 65_536
"""Bytes that a look for the place where two histories part reads at once."""


class ReplicaLag:
    """How long the log has stood still behind the tail. A replica that lags gets there, and goes on; `now`: seconds."""

    def __init__(self) -> None:
        self._since: tuple[float, Position] | None = None

    def note(self, now: float, newest: Position | None, head: Position) -> bool:
        """The log ends at `newest`, before `head`. True where it has not come as far as it was behind for too long."""
        if self._since is None or (newest is not None and newest[:2] >= self._since[1][:2]):
            self._since = now, head
        return now - self._since[0] >= CONFIRM

    def forget(self) -> None:
        """It is not behind, or no longer waited for."""
        self._since = None


class Rewritten(NamedTuple):
    """What the log is now: a tail of it, the gap to tell, and the newest position that both histories share."""

    tail: Tail
    gap: Gap
    shared: Position | None

    def is_past(self, old: Tail, at: Position) -> bool:
        """True where a reader at `at` went through the part of `old` that is gone."""
        if at.nowhere or at == self.gap.resume or old.find(at, 0) is None:
            return False
        return self.shared is None or at.seq > self.shared.seq


async def follow_rewritten(store: BoundedStore, old: Tail, newest: Sequence[Entry], nowhere: Position) -> Rewritten:
    """The log holds another history than `old`: go on after what both share, else from the oldest kept, or `nowhere`.

    `newest`: the log's newest entries, oldest first. Two reads at the least where nothing is shared.
    """
    shared, entries = await find_fork(store, old, newest)
    if shared is None:
        gap = reset(await store.slice(old.channel, 0, 0), nowhere)
    else:
        new = [entry.position for entry in entries if entry.position.seq > shared.seq]
        gap = Gap(GapReason.RESET, shared, new[0] if new else None, new[-1] if new else shared)
    return Rewritten(old.rewritten(entries, shared, nowhere), gap, shared)


async def find_fork(store: BoundedStore, tail: Tail, entries: Sequence[Entry]) -> tuple[Position | None, list[Entry]]:
    """The last shared position, or None, and the log's entries from there on as far as they were read.

    `entries` are the log's newest. Where they do not reach back far enough, older pages are read, but none older than
    the tail: a reader before it has seen nothing that was rewritten, or asks the log anyway.
    """
    found = list(entries)
    shared = tail.shared(found)
    while shared is None and found and found[0].before.epoch == tail.base.epoch:
        last = found[0].before
        if last.seq <= tail.base.seq:
            break
        cut = await store.slice(tail.channel, max(tail.base.seq, 1), last.seq, most=READ, back=True)
        if not cut.entries or cut.entries[-1].position != last:
            break  # it was rewritten once more meanwhile
        found = [*cut.entries, *found]
        shared = tail.shared(found)
    return shared, found
