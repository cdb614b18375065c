"""Presence: who is on a channel. A user is there as long as his lease, which ends in the store's time. Pure.

(docs/protocol.md, 9.8)
"""

from __future__ import annotations

import re
from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Any

MOST_USERS = 1000
MOST_BYTES = 32_768
"""Of the JSON that tells who is there. Beyond either, only how many is told."""

_NOTICE = re.compile(r"!p((?:\t[+-][^\x00-\x1f\x7f]{1,128})+)")
NOTICE_LIMIT = 65_536
"""Bytes of a notice; above them it says only that there is something to read."""
LOOK = b"!p"


@dataclass(frozen=True, slots=True)
class Attendance:
    """What a process asks and says: read who is there, and extend and end leases.

    `own`: users that are here; each lease that ends within `below` milliseconds is set to `lease` milliseconds from
    now. `leavers`: users who go, if their leases still end when this process believes (None: in any case). `tidy`: drop
    what has ended, and set the expiry of it all.
    """

    channel: str
    lease: int
    own: Sequence[str] = ()
    below: int = 0
    leavers: Mapping[str, int | None] = field(default_factory=dict)
    tidy: bool = False

    def parts(self) -> list[Attendance]:
        """The same in scripts of at most MOST_USERS users and as many leavers: Lua hands on no list of any length."""
        going = list(self.leavers.items())
        return [
            replace(
                self,
                own=self.own[at : at + MOST_USERS],
                leavers=dict(going[at : at + MOST_USERS]),
                tidy=self.tidy and not at,
            )
            for at in range(0, max(1, len(self.own), len(going)), MOST_USERS)
        ]


@dataclass(frozen=True, slots=True)
class Living:
    """Whose leases have not ended: at `now`, when they end; milliseconds of the store's time. `count`: all of them.

    Beyond MOST_USERS only some are in `ends`.
    """

    now: int
    ends: Mapping[str, int]
    count: int


def format_notice(joined: Iterable[str], left: Iterable[str]) -> bytes:
    """The notice of who came and who went."""
    notice = ("!p" + "".join(f"\t+{user}" for user in joined) + "".join(f"\t-{user}" for user in left)).encode()
    return notice if len(notice) <= NOTICE_LIMIT else LOOK


def parse_notice(notice: bytes) -> tuple[list[str], list[str]] | None:
    """Who came and who went; None where the notice tells of something else. Two empty lists: there is more to read."""
    if notice == LOOK:
        return [], []
    if (found := _NOTICE.fullmatch(notice.decode(errors="replace"))) is None:
        return None
    parts = found[1][1:].split("\t")
    return [part[1:] for part in parts if part[0] == "+"], [part[1:] for part in parts if part[0] == "-"]


def by_name(users: Collection[str], count: int) -> bool:
    """True where everybody is known by name, and the names are few enough to be told."""
    return len(users) == count <= MOST_USERS and sum(3 * len(user.encode()) + 3 for user in users) <= MOST_BYTES


def whole(channel: str, users: Collection[str], count: int) -> dict[str, Any]:
    """Everybody, in the order of their names; where they are too many, how many."""
    named = {"users": sorted(users)} if by_name(users, count) else {}
    return {"channel": channel, **named, "count": count}


def changes(channel: str, joined: Collection[str], left: Collection[str], count: int) -> dict[str, Any]:
    """Who came and who went, and how many are there now."""
    return {"channel": channel, "joined": sorted(joined), "left": sorted(left), "count": count}
