"""One publication: messages to append together, their idempotency keys, their rate, and the outcome. Pure."""

from __future__ import annotations

import hashlib
from collections.abc import Sequence
from dataclasses import dataclass
from typing import NamedTuple

from gapless.log.cursor import Position, next_mark
from gapless.log.entries import Draft, Entry

KEY_LIFETIME_MS = 600_000
"""How long an idempotency key is remembered: ten minutes."""

MOST_ATTEMPTS = 8
"""Attempts at one publication, whatever comes between."""


class Rate(NamedTuple):
    """A limit for one subject on one channel (GCRA): `interval` milliseconds a message, `burst` messages at once.

    Their bodies' bytes are counted in the same way beside them; with a `byte_interval` of 0 they are not.
    """

    subject: str
    interval: float
    burst: int
    byte_interval: float = 0
    byte_burst: int = 0


class Publication(NamedTuple):
    """Messages to append together: all or none, with consecutive seqs.

    `marks`: one random mark per draft, others at each attempt (`again`). `epoch`: used only if the log is empty. `now`:
    milliseconds since 1970. `key`: an idempotency key for all of them together, beside the `local_id` of each. A key
    belongs to its user.
    """

    channel: str
    drafts: tuple[Draft, ...]
    marks: tuple[str, ...]
    epoch: str
    now: int
    key: str | None = None
    rate: Rate | None = None

    def keys(self) -> list[IdempotencyKey]:
        """The idempotency keys of this publication: the one for all first, then one for each local id."""
        keys = []
        if self.key is not None:
            digest = hashlib.sha256("".join(draft.digest for draft in self.drafts).encode()).hexdigest()[:32]
            keys.append(IdempotencyKey(_name(self.drafts[0].user, self.key, "batch:"), digest, 1, len(self.drafts)))
        for index, draft in enumerate(self.drafts, 1):
            if draft.local_id is not None:
                keys.append(IdempotencyKey(_name(draft.user, draft.local_id), draft.digest, index, 1))
        return keys

    def again(self) -> Publication:
        """The same for another attempt, under marks of its own.

        The first one may have been written, seen, and lost by a failover. Written once more under its ids behind other
        messages, it would hide those from every reader that saw it.
        """
        return self._replace(marks=tuple(next_mark(mark) for mark in self.marks))

    def owns(self, ids: Sequence[Position]) -> bool:
        """True where these are the ids of this very publication, at whichever attempt."""
        marks, sent = tuple(position.mark for position in ids), self
        for _ in range(MOST_ATTEMPTS):
            if sent.marks == marks:
                return True
            sent = sent.again()
        return False

    @property
    def repeatable(self) -> bool:
        """True where a second attempt can't append twice: every message has an idempotency key."""
        return self.key is not None or all(draft.local_id is not None for draft in self.drafts)


def _name(user: str | None, local_id: str, kind: str = "") -> str:
    """Hashed, so that any user and id make a short name in which neither can imitate the other, nor a batch's key."""
    user = "" if user is None else f"u{user}"
    return hashlib.sha256(f"{kind}{len(user)}:{user}{local_id}".encode()).hexdigest()[:32]


@dataclass(frozen=True, slots=True)
class IdempotencyKey:
    """An idempotency key: it stands for `count` messages from the `first` (from 1), whose content is `digest`."""

    name: str
    digest: str
    first: int
    count: int


class Accepted(NamedTuple):
    """The entries are in the log, and every listener has been told or will find them there."""

    entries: tuple[Entry, ...]


class Repeated(NamedTuple):
    """Nothing was appended: these are the ids that the same messages got the first time, and when (ms)."""

    ids: tuple[Position, ...]
    time: int


class KeyConflict(NamedTuple):
    """Nothing was appended: `known` of the keys were used before, `same` of them for the same content."""

    known: int
    same: int


class Limited(NamedTuple):
    """Nothing was appended: over the rate; it would pass after so many milliseconds."""

    retry_ms: int


Outcome = Accepted | Repeated | KeyConflict | Limited
