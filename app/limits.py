"""Who counts as whom, and how many streams one may open. Pure: the time is an argument."""

from __future__ import annotations

import hashlib
import ipaddress

MOST_SUBJECTS = 10_000
"""Addresses remembered; the one unseen for longest is forgotten first."""


def subject_of(user: str | None, address: str | None) -> str:
    """The name under which a publisher's rate is counted: the token's subject, else the address."""
    named = f"user {user}" if user is not None else f"address {network_of(address)}"
    return hashlib.sha256(named.encode()).hexdigest()[:16]


def network_of(address: str | None) -> str:
    """An IPv4 address, or the /64 of an IPv6 one: whoever has one address of it has them all.

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


class OpenRate:
    """Streams opened per minute and address: a bucket each, which holds a minute's worth."""

    def __init__(self, per_minute: float) -> None:
        self._per_minute = per_minute
        self._full_at: dict[str, float] = {}

    def allows(self, address: str, now: float) -> bool:
        """Count one more stream; False where it is too many. `now`: any clock's seconds."""
        if not self._per_minute:
            return True
        # A clock that was set back keeps nobody waiting for longer than a full bucket does.
        full_at = min(max(self._full_at.pop(address, now), now), now + 60) + 60 / self._per_minute
        allowed = full_at - now <= 60
        self._full_at[address] = full_at if allowed else full_at - 60 / self._per_minute
        if len(self._full_at) > MOST_SUBJECTS:
            del self._full_at[next(iter(self._full_at))]
        return allowed
