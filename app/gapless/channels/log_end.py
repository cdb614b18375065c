"""The end of a log as one or two reads bring it, and how what is held relates to it."""

from __future__ import annotations

from collections.abc import Callable

from gapless.channels.bounded import BoundedStore
from gapless.channels.read_size import lacking
from gapless.channels.tail import Relation, Tail
from gapless.log.entries import Entry

DEEP = 65_536
"""Bytes that are read so that a tail reaches further back, where a reader needs that."""


async def read_end(
    store: BoundedStore, current: Callable[[], Tail], count: int, page: int, deep: bool
) -> tuple[list[Entry], Relation]:
    """The newest `count` entries, oldest first, and their relation to the tail. Raises StoreUnavailable.

    More are read where so few do not tell how to go on after the tail's head, at most `page`. `deep`: DEEP bytes or a
    page at once. `current`: the tail as it is by then, for notices come in meanwhile.
    """
    channel = current().channel
    entries = await (store.tail(channel, page, DEEP) if deep else store.tail(channel, count))
    relation = current().relate(entries)
    if (more := lacking(current(), relation, entries, page)) > count:
        entries = await store.tail(channel, more)
        relation = current().relate(entries)
    return entries, relation
