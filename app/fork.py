"""Where two histories part: the newest entry that a tail and a rewritten log both went through."""

from __future__ import annotations

from collections.abc import Sequence

from app.cursor import Position
from app.events import Entry
from app.store import Store
from app.tail import Tail


async def find_fork(
    store: Store, tail: Tail, entries: Sequence[Entry], page: int
) -> tuple[Position | None, list[Entry]]:
    """The last shared position, or None, and the log's entries from there on as far as they were read.

    `entries` are the log's newest. Where they do not reach back far enough, older pages are read, but none older than
    the tail: whoever stands before it has seen nothing that was rewritten, or asks the log anyway.
    """
    found = list(entries)
    shared = tail.shared(found)
    while shared is None and found and found[0].before.epoch == tail.base.epoch:
        last = found[0].before
        if last.seq <= tail.base.seq:
            break
        cut = await store.slice(tail.channel, max(last.seq - page + 1, tail.base.seq), last.seq)
        if not cut.entries or cut.entries[-1].position != last:
            break  # it was rewritten once more meanwhile
        found = [*cut.entries, *found]
        shared = tail.shared(found)
    return shared, found
