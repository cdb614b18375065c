"""What an administrator asks of any Redis store: list the channels, and delete one."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from typing import Any

from gapless.log.entries import HINT, parse_entry
from gapless.log.errors import CorruptLog
from gapless.log.store import ChannelInfo
from gapless.stores.scripts import Layout

LOOK = HINT + b"zzzzzzzz 1 zzzz"
"""A notice that names a position nobody has: it makes every feed of the channel read the log."""
PAGE = 200
"""How many keys one step looks at."""
AT_ONCE = 16
"""Channels that are looked at side by side: over REST each question is a request."""

Call = Callable[..., Awaitable[Any]]
Scan = Callable[[str, str], Awaitable[tuple[list[str], str | None]]]
"""A cursor and a pattern; returns keys and the next cursor, None at the end."""


async def forget(call: Call, layout: Layout, channel: str) -> None:
    """Delete the log, the receipts and the leases, then have its readers look: two commands, whatever else there is.

    What the channel's keys remember counts for nothing without the log that they name (`stores/lua/publish.lua`), and
    they expire.
    """
    await call("UNLINK", layout.log(channel), layout.receipts(channel), layout.presence(channel))
    await call("PUBLISH", layout.topic(channel), LOOK.decode())


async def channels(call: Call, scan: Scan, layout: Layout, cursor: str) -> tuple[list[ChannelInfo], str | None]:
    """A page of the channels that have a log; those that vanish meanwhile are left out."""
    keys, following = await scan(cursor, f"{layout.prefix}:{{*}}:log")
    found: list[ChannelInfo | None] = []
    for first in range(0, len(keys), AT_ONCE):
        found += await asyncio.gather(*(_look_at(call, key) for key in keys[first : first + AT_ONCE]))
    return [one for one in found if one is not None], following


async def _look_at(call: Call, key: str) -> ChannelInfo | None:
    """A log's name, length and newest entry; None where it is gone, or none of ours."""
    try:
        newest, kept = await call("LINDEX", key, -1), await call("LLEN", key)
        if newest is None:
            return None
        entry = parse_entry(newest if isinstance(newest, bytes) else newest.encode())
    except CorruptLog:
        return None
    return ChannelInfo(key.partition("{")[2].rpartition("}")[0], int(kept), entry)


def read_scan(reply: Any) -> tuple[list[str], str | None]:
    """What SCAN answered."""
    cursor, keys = reply
    following = cursor.decode() if isinstance(cursor, bytes) else str(cursor)
    return [key.decode() if isinstance(key, bytes) else key for key in keys], None if following == "0" else following
