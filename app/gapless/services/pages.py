"""Pages of older messages, read straight from the log. A page waits for nothing. Pure."""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple

from gapless.channels.frames import Frame, last_that_fit
from gapless.channels.tail import reset
from gapless.log.cursor import Position, no_log
from gapless.log.entries import Entry, Gap
from gapless.log.store import Room, Store


class Page(NamedTuple):
    """Messages, oldest first; `cursor` is the position after the newest, None where the page looks back."""

    frames: Sequence[Frame]
    cursor: Position | None
    gap: Gap | None = None


async def newest(store: Store, channel: str, room: Room, now: float) -> Page:
    """The newest messages of a channel. One read."""
    entries = await store.tail(channel, room.messages, room.size)
    return Page(_encode(channel, entries, room), entries[-1].position if entries else no_log(now))


async def before(store: Store, channel: str, position: Position, room: Room, now: float) -> Page:
    """The messages just before the one at `position`; a gap where that message's history is gone. One read."""
    first, last = max(1, position.seq - room.messages), position.seq - 1
    cut = await store.slice(channel, first, last, most=room.size, back=True, beside=position)
    if cut.oldest is None or position.epoch != cut.oldest.position.epoch:
        return Page([], None, reset(cut, no_log(now)))
    if position.seq < cut.oldest.position.seq or position == cut.oldest.position:
        return Page([], None)
    if not cut.entries:
        return Page([], None, reset(cut, no_log(now)))
    return Page(_encode(channel, cut.entries, room), None)


def _encode(channel: str, entries: Sequence[Entry], room: Room) -> Sequence[Frame]:
    return last_that_fit([Frame(channel, entry) for entry in entries], room)
