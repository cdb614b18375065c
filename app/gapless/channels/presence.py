"""Who is on one channel, as this process knows it. Pure: `now` is the loop's seconds, leases end in the store's.

A user is there while a lease of his has not ended, or while he has a stream here. What a read lacks is no leave: a
failover, a wipe or a deleted channel takes leases that their owners set again within a minute.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable
from typing import NamedTuple

from gapless.log.presence import MOST_USERS, Living


class Intervals(NamedTuple):
    """Seconds, all in proportion to the lease. `lease`: how long a user stays whose process died.

    `renew`: between two reads, which extend the leases of those who are here. `gone`: until a user who left is taken
    off. `held`: until others are told, in which another process may object. `object`: until it does so. `grace`: after
    an outage, until somebody's lease may have ended.
    """

    lease: float = 200.0

    @property
    def renew(self) -> float:
        return self.lease * 0.3

    @property
    def gone(self) -> float:
        return self.lease * 0.075

    @property
    def held(self) -> float:
        return self.lease * 0.025

    @property
    def object(self) -> float:
        return self.lease * 0.01

    @property
    def grace(self) -> float:
        return self.lease * 0.375

    @property
    def together(self) -> float:
        return self.lease * 0.005


class Changes(NamedTuple):
    """Who came and who went since this was asked last."""

    joined: set[str]
    left: set[str]


class Roll:
    """The users of a channel: those who have streams here, and those whose leases are known."""

    def __init__(self, intervals: Intervals) -> None:
        self._intervals = intervals
        self.here: Counter[str] = Counter()
        self.ends: dict[str, int] = {}
        self._leaving: dict[str, float] = {}
        self._told_to_all: set[str] = set()
        self._told_to_some: set[str] = set()
        self._offset = 0.0
        self._read_at: float | None = None
        self._no_leave_before = 0.0
        self._crowd = 0
        self._early: list[str] = []

    @property
    def count(self) -> int:
        """How many are there; more than are known by name where there are very many."""
        return max(len(self.users()), self._crowd)

    def users(self) -> set[str]:
        """Who is there."""
        return self.ends.keys() | +self.here

    def lasts(self, user: str, seconds: float, now: float) -> bool:
        """True where a lease of this user is known that lasts so long."""
        return self.ends.get(user, 0) >= self._store_time(now) + seconds * 1000

    def heard(self, joined: Iterable[str], left: Iterable[str], now: float) -> set[str]:
        """A notice. Returns those who are said to have left, and have a stream here."""
        if self._read_at is None:  # nothing is known of the store's time yet
            self._early = [*self._early, *joined][-MOST_USERS:]
            return set()
        for user in joined:
            self._leaving.pop(user, None)
            if user in self.ends or len(self.ends) < 2 * MOST_USERS:
                end = int(self._store_time(now) + self._intervals.lease * 1000)
                self.ends[user] = max(self.ends.get(user, 0), end)
        objected = set()
        for user in left:
            if self.here[user] > 0:
                self.ends.pop(user, None)
                objected.add(user)
            elif user in self.ends:
                self._leaving[user] = now + self._intervals.held
        return objected

    def read(self, living: Living, now: float) -> None:
        """What the store says. After a time without reads leases may have ended only because nothing could be set."""
        if self._read_at is not None and now - self._read_at > self._intervals.grace:
            self._no_leave_before = now + self._intervals.grace
        self._read_at, self._offset = now, living.now - now * 1000
        self.ends.update(living.ends)
        for user in living.ends:
            self._leaving.pop(user, None)
        self._crowd = living.count if living.count > MOST_USERS else 0
        early, self._early = self._early, []
        self.heard(early, (), now)

    def pass_time(self, now: float) -> None:
        """Take off those whose time has come."""
        for user, at in list(self._leaving.items()):
            if now >= at:
                del self._leaving[user]
                self.ends.pop(user, None)
        if now < self._no_leave_before or not self._reads(now):
            return
        time = self._store_time(now)
        for user in [user for user, end in self.ends.items() if end <= time]:
            del self.ends[user]

    def next_change(self, now: float) -> float:
        """When somebody's time comes, if nothing happens meanwhile."""
        expires = float("inf")
        if self.ends and self._reads(now):
            expires = now + (min(self.ends.values()) - self._store_time(now)) / 1000
        return min([max(expires, self._no_leave_before), *self._leaving.values()])

    def show(self) -> set[str]:
        """Who is there, for one who is told everybody between two `changes`: the next must hold for him, too."""
        users = self.users()
        self._told_to_all = self._told_to_all & users
        self._told_to_some = self._told_to_some | users
        return users

    def changes(self) -> Changes:
        """Since this was asked last; to some it may be known."""
        users = self.users()
        found = Changes(users - self._told_to_all, self._told_to_some - users)
        self._told_to_all = self._told_to_some = users
        return found

    def _reads(self, now: float) -> bool:
        """True where reads succeed: else a lease that is over may have been extended since."""
        return self._read_at is not None and now - self._read_at <= self._intervals.grace

    def _store_time(self, now: float) -> float:
        """Milliseconds. A process that slept is behind, so that it lets nobody go too early."""
        return now * 1000 + self._offset
