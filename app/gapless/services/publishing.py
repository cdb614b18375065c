"""Publishing: the rate that messages count towards, the publication, and what became of it."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Sequence
from typing import NamedTuple

from gapless.auth.rates import TRAFFIC_UNIT
from gapless.channels.feeds import Feeds
from gapless.channels.paying import Pay
from gapless.log.cursor import Position, new_epoch
from gapless.log.entries import Draft
from gapless.log.errors import Conflict, StoreUnavailable, TooMany, Unprocessable
from gapless.log.publication import Accepted, KeyConflict, Limited, Outcome, Publication, Rate, Repeated
from gapless.log.store import Store
from gapless.runtime.counters import PublishCounters
from gapless.runtime.request import STORE, timed


class Sender(NamedTuple):
    """`subject`: whose rate the messages count towards. `pay`: called with the commands that wrote nothing."""

    subject: str
    pay: Pay


class Published(NamedTuple):
    """`ids`: one per message, in order. `time`: milliseconds since 1970.

    `duplicate`: the same messages were published before; these are their first ids, and nothing was appended.
    """

    ids: tuple[Position, ...]
    time: int
    duplicate: bool = False


class PublishLimits(NamedTuple):
    """What one subject may publish on one channel: messages a second, and at once; the same for their bytes.

    0 a second is no limit; without one on messages there is none on bytes.
    """

    rate: float
    burst: int
    rate_bytes: float
    burst_bytes: int

    def signal_rate(self, subject: str) -> Rate | None:
        """The rate of signals: that of messages, counted in a bucket of its own."""
        return Rate(subject, 1000 / self.rate, self.burst) if self.rate else None

    def rate_of(self, subject: str, drafts: Sequence[Draft]) -> Rate | None:
        """The rate of these messages; raises Unprocessable for what would never pass, however long one waits."""
        if not self.rate:
            return None
        if len(drafts) > self.burst:
            most = f"at most {self.burst} messages here (GAPLESS_BURST)"
            raise Unprocessable(f"A batch holds {most}; this one holds {len(drafts)}.")
        size = _size(drafts)
        if self.rate_bytes and size > self.burst_bytes:
            most = f"at most {self.burst_bytes} bytes are taken at once here (GAPLESS_BURST_BYTES)"
            raise Unprocessable(f"This would be stored in {size} bytes; {most}.")
        byte_interval = 1000 / self.rate_bytes if self.rate_bytes else 0
        return Rate(subject, 1000 / self.rate, self.burst, byte_interval, self.burst_bytes)


class Publishing:
    """Publishes to any channel. `limits`: of a channel.

    `clock` tells Unix seconds; `token` makes so many random base-36 digits.
    """

    def __init__(
        self,
        store: Store,
        feeds: Feeds,
        limits: Callable[[str], PublishLimits],
        clock: Callable[[], float],
        token: Callable[[int], str],
        counters: PublishCounters | None = None,
    ) -> None:
        self._counters = counters or PublishCounters()
        self._store = store
        self._feeds = feeds
        self._limits = limits
        self._clock = clock
        self._token = token

    async def publish(
        self, channel: str, drafts: tuple[Draft, ...], *, key: str | None = None, sender: Sender | None = None
    ) -> Published:
        """Append messages, all or none. When this returns they are in the log, numbered and told to every reader.

        `key`: an idempotency key for all of them together. `sender` None: the process's own code, which has no rate.
        Raises Conflict where a key was used for other content, TooMany over the rate, Unprocessable for what no rate
        lets pass, StoreUnavailable.
        """
        rate = None if sender is None else self._limits(channel).rate_of(sender.subject, drafts)
        publication = self._publication(channel, drafts, key, rate)
        with timed(STORE):
            outcome = await self._append(publication)
        if isinstance(outcome, Accepted):
            if self._feeds.offer(channel, outcome.entries):
                await asyncio.sleep(0)  # the answer's JSON and line of log would be made before they are told
        elif sender is not None:
            sender.pay(1 + _size(drafts) // TRAFFIC_UNIT)
        return _published(outcome, publication)

    async def _append(self, publication: Publication) -> Outcome:
        loop = asyncio.get_running_loop()
        began = loop.time()
        try:
            outcome = await self._store.publish(publication)
        except StoreUnavailable as error:
            self._counters.took(loop.time() - began, "unknown" if error.outcome_unknown else "unavailable")
            raise
        self._counters.took(loop.time() - began, *_counted(outcome, publication))
        return outcome

    def _publication(self, channel: str, drafts: tuple[Draft, ...], key: str | None, rate: Rate | None) -> Publication:
        """The messages with what only the service can give: time and chance."""
        now = self._clock()
        drawn = self._token(2 + 4 * len(drafts))  # all of one draw: each asks the system
        marks = tuple([drawn[at : at + 4] for at in range(2, len(drawn), 4)])
        return Publication(channel, drafts, marks, new_epoch(now, drawn[:2]), int(now * 1000), key, rate)


def _counted(outcome: Outcome, sent: Publication) -> tuple[str, int]:
    """The outcome's name, and how many messages this publication has brought into the log."""
    match outcome:
        case Accepted(entries):
            return "accepted", len(entries)
        case Repeated(ids):
            return ("accepted", len(ids)) if sent.owns(ids) else ("duplicate", 0)
        case KeyConflict():
            return "conflict", 0
        case Limited():
            return "limited", 0


def _published(outcome: Outcome, sent: Publication) -> Published:
    """What the store says; raises Conflict and TooMany."""
    match outcome:
        case Accepted(entries):
            return Published(tuple(entry.position for entry in entries), sent.now)
        case Repeated(ids, time):
            # Its own ids: it is this very request, whose first reply we have not had.
            return Published(ids, time, duplicate=not sent.owns(ids))
        case KeyConflict(known, same):
            raise Conflict(_conflict(known, same))
        case Limited(wait):
            what = "Too many messages on this channel, or too many bytes; wait and send again."
            raise TooMany(what, wait / 1000, retryAfterMs=wait)


def _conflict(known: int, same: int) -> str:
    if known == same:
        return "Part of this batch was published before; repeat the same batch, or send only what is new."
    return "This localId was used for other content in the last ten minutes; give a new message a new localId."


def _size(drafts: Sequence[Draft]) -> int:
    return sum(len(draft.body) for draft in drafts)
