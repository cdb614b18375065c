"""Says who is on one channel, to its readers and to other processes, as long as somebody is here or wants to know.

Each process reads the channel's leases once a minute and extends those of its own users in the same script, whatever
their number; it writes besides only when a user comes or goes. It computes by itself whose lease has ended: no process
needs to speak for one that died. Nothing here ever ends or delays a stream.
"""

from __future__ import annotations

import asyncio
import contextlib
import json
import logging
from collections.abc import Mapping, Sequence
from contextvars import Context
from typing import Any

from gapless.channels.bounded import BoundedStore
from gapless.channels.feed_settings import FeedSettings
from gapless.channels.paying import charge
from gapless.channels.presence import Intervals, Roll
from gapless.channels.receipt_board import Watcher
from gapless.log.errors import StoreUnavailable
from gapless.log.presence import Attendance, by_name, changes, parse_notice, whole
from gapless.runtime.tasks import end

RETRY = 5.0
"""Seconds after which a script that failed is tried again."""
SHORTEST = 0.01
"""Seconds that the task rests at least, whatever is due."""
TIDY = 30
"""How many renewals pass between two that drop what has ended."""

_log = logging.getLogger("gapless.feed")


class PresenceBoard:
    """The users of one channel in one process."""

    def __init__(self, channel: str, store: BoundedStore, settings: FeedSettings) -> None:
        self._channel = channel
        self._store = store
        self._intervals = Intervals(settings.lease)
        self._roll = Roll(self._intervals)
        self._loop = asyncio.get_running_loop()
        self._watchers: dict[Watcher, None] = {}
        self._coming: set[str] = set()
        self._going: dict[str, float] = {}
        self._objecting: dict[str, float] = {}
        self._writing: frozenset[str] = frozenset()
        self._task: asyncio.Task[None] | None = None
        self._bell = asyncio.Event()
        self._has_read = False
        self._renew_at = self._flush_at = 0.0
        self._renewals = 0
        self._named, self._counted = True, 0
        self._whole: bytes | None = None
        self._telling: asyncio.TimerHandle | None = None

    # --- readers

    def join(self, watcher: Watcher) -> None:
        """From now on this watcher is told."""
        self._watchers[watcher] = None
        self._begin()

    def leave(self, watcher: Watcher) -> None:
        """From now on it is not."""
        self._watchers.pop(watcher, None)
        self._bell.set()

    def whole(self) -> bytes | None:
        """An event with everybody, encoded once for all who ask; None as long as nothing was read."""
        if self._whole is None and self._has_read:
            self._whole = _event(whole(self._channel, self._roll.show(), self._roll.count))
        return self._whole

    # --- users

    def come(self, user: str) -> None:
        """A stream of this user begins here. Where his lease lasts to the next renewal, nothing is written."""
        self._roll.here[user] += 1
        self._going.pop(user, None)
        now = self._loop.time()
        if not self._has_read or not self._roll.lasts(user, max(0.0, self._renew_at - now), now):
            self._coming.add(user)
        self._begin()
        self._bell.set()
        self._changed()

    def go(self, user: str, *, gone: bool) -> None:
        """It has ended. `gone`: its client left; else the service ended it, and the client comes back somewhere."""
        self._roll.here[user] -= 1
        if self._roll.here[user] > 0:
            return
        del self._roll.here[user]
        if gone:
            self._coming.discard(user)  # else he is written all the same: a turn may be over at once
        if user not in self._roll.ends and user not in self._writing:
            self._changed()
        elif gone:
            self._going[user] = self._loop.time() + self._intervals.gone
            self._bell.set()

    @property
    def lingers(self) -> float:
        """Seconds for which somebody who came or left has yet to be written."""
        due = [*self._going.values(), *([self._due()] if self._coming else [])]
        return max(0.0, max(due) - self._loop.time()) + 1 if due else 0.0

    # --- what the store tells

    def take(self, notice: bytes) -> None:
        """A notice of no messages."""
        if self._task is None or self._task.done() or (found := parse_notice(notice)) is None:
            return
        now = self._loop.time()
        if not any(found):
            self.look()
        for user in self._roll.heard(*found, now):
            self._objecting[user] = now + self._intervals.object
        self._bell.set()
        self._changed()

    def look(self) -> None:
        """Notices may have been missed: read, at most once a second."""
        self._renew_at = min(self._renew_at, self._flush_at + self._intervals.together)
        self._bell.set()

    async def close(self) -> None:
        """Stop. What was not written ends with its lease."""
        if self._telling is not None:
            self._telling.cancel()
        if self._task is not None:
            await end(self._task)

    # --- the task

    def _begin(self) -> None:
        if self._task is None or self._task.done():
            charge(3)
            self._has_read, self._renew_at = False, 0.0
            here, self._roll = self._roll.here, Roll(self._intervals)  # what it knew may be long over
            self._roll.here = here
            self._task = asyncio.create_task(self._run(), name=f"gapless presence {self._channel}", context=Context())

    async def _run(self) -> None:
        try:
            while self._watchers or self._roll.here or self._going or self._coming:
                now = self._loop.time()
                if now >= self._due():
                    await self._act(now)
                self._roll.pass_time(self._loop.time())
                self._changed()
                await self._wait()
        except Exception:  # a defect of ours, which no stream must feel
            _log.exception("who is on %s is no longer told", self._channel)

    def _due(self) -> float:
        """When the store has to be asked next."""
        flush = [self._flush_at + self._intervals.together] if self._coming and self._has_read else []
        return min([self._renew_at, *flush, *self._going.values(), *self._objecting.values()])

    async def _wait(self) -> None:
        now = self._loop.time()
        until = max(now + SHORTEST, min(self._due(), self._roll.next_change(now)))
        self._bell.clear()
        with contextlib.suppress(TimeoutError):
            async with asyncio.timeout_at(until):
                await self._bell.wait()

    async def _act(self, now: float) -> None:
        """Read, and write what is due: at a renewal all who are here, else who came, goes, or was said to have left."""
        renews = now >= self._renew_at
        objecting = {user for user, at in self._objecting.items() if now >= at}
        leavers = {user: self._roll.ends.get(user) for user, at in self._going.items() if now >= at}
        here = self._roll.here
        own = sorted({user for user in (here if renews else objecting) if here[user]} | self._coming)
        self._writing = frozenset(own)
        try:
            for asked in self._attendance(own, leavers, renews).parts():
                living = await self._store.attend(asked)
                self._roll.read(living, self._loop.time())
                leavers = {user: at for user, at in leavers.items() if user not in asked.leavers.keys() & living.ends}
        except StoreUnavailable:
            self._put_off(RETRY)
            return
        finally:
            self._writing = frozenset()
        self._flush_at = self._loop.time()
        self._roll.heard((), leavers, self._flush_at)
        self._going = {user: at for user, at in self._going.items() if now < at}
        for user in objecting:
            self._objecting.pop(user, None)
        self._coming.difference_update(own)
        if renews:
            self._renewals += 1
            self._renew_at = self._flush_at + self._intervals.renew
        if not self._has_read:
            self._has_read = True
            self._tell_anew()

    def _attendance(self, own: Sequence[str], leavers: Mapping[str, int | None], renews: bool) -> Attendance:
        """The first read extends only what would not last to the next renewal."""
        lease, renew = (int(seconds * 1000) for seconds in (self._intervals.lease, self._intervals.renew))
        below = lease if renews and self._has_read else renew
        tidy = renews and self._renewals % TIDY == TIDY - 1
        return Attendance(self._channel, lease, own, below, leavers, tidy)

    def _put_off(self, seconds: float) -> None:
        """The store does not answer: try all of it later."""
        later = self._loop.time() + seconds
        self._renew_at = max(self._renew_at, later)
        self._flush_at = max(self._flush_at, later)
        for due in (self._going, self._objecting):
            due.update({user: max(at, later) for user, at in due.items()})

    # --- telling

    def _changed(self) -> None:
        self._whole = None
        if self._telling is None and self._has_read:
            self._telling = self._loop.call_later(self._intervals.together, self._tell)

    def _tell(self) -> None:
        self._telling = None
        users, count = self._roll.users(), self._roll.count
        if by_name(users, count) != self._named:
            self._tell_anew()
            return
        joined, left = self._roll.changes()
        if joined or left or count != self._counted:
            self._counted = count
            named = changes(self._channel, joined, left, count)
            block = _event(named if self._named else whole(self._channel, users, count))
            for watcher in tuple(self._watchers):
                watcher.changed(block, self._loop.time())

    def _tell_anew(self) -> None:
        """Everybody is told everybody, or how many: it has begun, or they have become too many, or fewer again."""
        self._counted = self._roll.count
        self._named, self._whole = by_name(self._roll.users(), self._counted), None
        self._roll.changes()
        for watcher in tuple(self._watchers):
            watcher.anew()


def _event(data: dict[str, Any]) -> bytes:
    """Without an id: it moves no position."""
    return f"event: presence\ndata: {json.dumps(data, separators=(',', ':'))}\n\n".encode()
