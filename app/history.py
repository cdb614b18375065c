"""Pages of the past, straight from the log: for history, which waits for nothing."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from app.cursor import Position, no_log
from app.events import Gap
from app.frames import Frame
from app.store import Store
from app.tail import reset

MOST_BYTES = 524_288
"""A page also ends here, but holds at least one message."""


@dataclass(frozen=True, slots=True)
class Page:
    """Messages, oldest first; `cursor` is the position after the newest, None where the page looks back."""

    frames: Sequence[Frame]
    cursor: Position | None
    gap: Gap | None = None


async def newest(store: Store, channel: str, limit: int, now: float) -> Page:
    """The newest messages of a channel."""
    entries = await store.tail(channel, limit)
    if not entries:
        return Page([], no_log(now))
    found = [Frame(channel, entry) for entry in entries]
    if store.page <= len(found) < limit:
        found = [*await _older(store, channel, found[0].entry.before, limit - len(found)), *found]
    return Page(last_that_fit(found), found[-1].position)


async def before(store: Store, channel: str, position: Position, limit: int, now: float) -> Page:
    """The messages just before the one at `position`; a gap where that message's history is gone."""
    cut = await store.slice(channel, position.seq, position.seq)
    if cut.oldest is None or position.epoch != cut.oldest.position.epoch:
        return Page([], None, reset(cut, no_log(now)))
    if position.seq < cut.oldest.position.seq:
        return Page([], None)
    if not cut.entries or cut.entries[0].position != position:
        return Page([], None, reset(cut, no_log(now)))
    return Page(last_that_fit(await _older(store, channel, cut.entries[0].before, limit)), None)


async def _older(store: Store, channel: str, end: Position, limit: int) -> list[Frame]:
    """Up to `limit` messages that end at `end`, read page by page from the newest."""
    found: list[Frame] = []
    while limit > len(found) and end.seq > 0:
        first = max(1, end.seq - min(store.page, limit - len(found)) + 1)
        cut = await store.slice(channel, first, end.seq)
        if not cut.entries or cut.entries[-1].position != end:
            break
        found = [*(Frame(channel, entry) for entry in cut.entries), *found]
        end = cut.entries[0].before
        if sum(frame.size for frame in found) > MOST_BYTES:
            break
    return found


def last_that_fit(found: Sequence[Frame]) -> Sequence[Frame]:
    """As many of the newest as fit a page."""
    size = 0
    for count, frame in enumerate(reversed(found)):
        size += frame.size
        if size > MOST_BYTES and count:
            return found[-count:]
    return found


def first_that_fit(found: Sequence[Frame], limit: int) -> Sequence[Frame]:
    """As many of the oldest as fit a page of `limit` messages."""
    size = 0
    for count, frame in enumerate(found[:limit]):
        size += frame.size
        if size > MOST_BYTES and count:
            return found[:count]
    return found[:limit]
