"""Limits how much one user and one address may open, read, and hold open. Pure: the time is an argument.

Each process counts by itself. That costs no command, and no two processes share a count.
"""

from __future__ import annotations

import hashlib
import ipaddress
from collections.abc import Sequence
from dataclasses import dataclass, field
from functools import lru_cache
from typing import NamedTuple

MOST_SUBJECTS = 10_000
"""Addresses remembered; the one unseen for longest is forgotten first."""


class Who(NamedTuple):
    """Whose a request is: the token's subject, where there is one, and the network that it comes from."""

    user: str | None
    network: str


@lru_cache(1024)
def subject_of(user: str | None, address: str | None) -> str:
    """The name under which a publisher's rate is counted: the token's subject, else the address."""
    named = f"user {user}" if user is not None else f"address {network_of(address)}"
    return hashlib.sha256(named.encode()).hexdigest()[:16]


@lru_cache(1024)
def network_of(address: str | None) -> str:
    """An IPv4 address, or the /64 of an IPv6 one: a client that has one address of it has them all.

    Some proxies write the port too: `203.0.113.7:4711`, `[2001:db8::1]:4711`. What is no address counts as "unknown".
    """
    text = _without_port((address or "").partition("%")[0])
    try:
        parsed = ipaddress.ip_address(text)
    except ValueError:
        return "unknown"
    if isinstance(parsed, ipaddress.IPv6Address):
        if parsed.ipv4_mapped is not None:
            return str(parsed.ipv4_mapped)
        return str(ipaddress.ip_network((parsed, 64), strict=False))
    return str(parsed)


def _without_port(text: str) -> str:
    if text.startswith("["):
        return text[1:].partition("]")[0]
    return text.partition(":")[0] if text.count(":") == 1 else text


class Buckets:
    """Something that is counted by name: a bucket each, which leaks `per_minute` and holds a minute's worth.

    `now` is any clock's seconds. `ahead`: how far in the future a bucket may be empty; for clocks that are set back.
    """

    def __init__(self, per_minute: float, ahead: float = float("inf")) -> None:
        self._per_minute = per_minute
        self._ahead = ahead
        self._empty_at: dict[str, float] = {}

    def wait(self, name: str, count: float, now: float) -> float:
        """Seconds until `count` more fit; 0: they do."""
        if not self._per_minute:
            return 0.0
        over = self._after(name, count, now) - now - 60
        return over if over > 1e-6 else 0.0  # less than that is the sum's rounding

    def add(self, name: str, count: float, now: float) -> None:
        """Count them, whether they fit or not: what costs more than was known before is owed."""
        if not self._per_minute:
            return
        empty_at = self._after(name, count, now)
        self._empty_at.pop(name, None)  # a client that comes back is not forgotten
        self._empty_at[name] = empty_at
        if len(self._empty_at) > MOST_SUBJECTS:
            del self._empty_at[next(iter(self._empty_at))]

    def take(self, name: str, count: float, now: float) -> float:
        """Count them where they fit, and else nothing; returns as `wait`."""
        wait = self.wait(name, count, now)
        self.add(name, 0 if wait else count, now)
        return wait

    def _after(self, name: str, count: float, now: float) -> float:
        empty_at = min(max(self._empty_at.get(name, now), now), now + self._ahead)
        return empty_at + count * 60 / self._per_minute


class OpenRate:
    """Streams and long polls opened per minute and network."""

    def __init__(self, per_minute: float) -> None:
        # A clock that was set back keeps nobody waiting for longer than a full bucket does.
        self._opened = Buckets(per_minute, ahead=60)

    def wait(self, network: str, now: float) -> float:
        """Count one more, or say in how many seconds it would not be too many. `now`: Unix seconds."""
        return self._opened.take(network, 1, now)


NETWORK_TIMES = 4
"""How many subjects' budgets a network has: behind one address there may be an office."""

TRAFFIC_UNIT = 65_536
"""Bytes that cost as much as a command."""


class CommandBudget:
    """Commands that a kind of request may cost the store, per second, subject and network; a minute's worth at once.

    `now` is a clock's seconds that is never set back. What a request will cost is not known before, so it may owe: then
    the next ones wait for longer.
    """

    def __init__(self, per_second: float) -> None:
        self._users = Buckets(per_second * 60)
        self._networks = Buckets(per_second * 60 * NETWORK_TIMES)

    def wait(self, who: Who, now: float) -> float:
        """Count a request as a command, or say in how many seconds it may come again."""
        wait = self.due(who, now)
        self.spend(who, 0 if wait else 1, now)
        return wait

    def due(self, who: Who, now: float) -> float:
        """In how many seconds there is room for a command; 0: now. Counts nothing."""
        return max(buckets.wait(name, 1, now) for buckets, name in self._of(who))

    def spend(self, who: Who, commands: float, now: float) -> None:
        """It has cost so much."""
        for buckets, name in self._of(who):
            buckets.add(name, commands, now)

    def _of(self, who: Who) -> list[tuple[Buckets, str]]:
        found = [(self._networks, who.network)]
        return found if who.user is None else [(self._users, who.user), *found]


@dataclass(slots=True)
class _Holding:
    places: int = 0
    channels: dict[str, int] = field(default_factory=dict)


class Shares:
    """What each name has open: at most so many `places` (a stream has one a channel), and so many different channels.

    Nothing is remembered of who has nothing open, so the process' own bounds hold here, too.
    """

    def __init__(self, places: int, channels: int) -> None:
        self._places = places
        self._channels = channels
        self._held: dict[str, _Holding] = {}

    def fit(self, name: str, channels: Sequence[str]) -> bool:
        """Whether a reader of these channels is within the share."""
        held = self._held.get(name, _Holding())
        new = sum(channel not in held.channels for channel in channels)
        return held.places + len(channels) <= self._places and len(held.channels) + new <= self._channels

    def take(self, name: str, channels: Sequence[str]) -> None:
        """A reader of these channels opens."""
        held = self._held.setdefault(name, _Holding())
        held.places += len(channels)
        for channel in channels:
            held.channels[channel] = held.channels.get(channel, 0) + 1

    def give(self, name: str, channels: Sequence[str]) -> None:
        """It has closed."""
        held = self._held[name]
        held.places -= len(channels)
        for channel in channels:
            held.channels[channel] -= 1
            if not held.channels[channel]:
                del held.channels[channel]
        if not held.places:
            del self._held[name]
