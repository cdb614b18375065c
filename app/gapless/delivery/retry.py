"""How long a client waits before it reconnects. Pure."""

from __future__ import annotations

RETRY_UNAVAILABLE = 5000
"""Milliseconds before a client comes back to a service that can't serve it now."""


def jittered(milliseconds: int, random: float) -> int:
    """A retry of the given length to half as much again, so that clients do not come back all at once; never 0."""
    return max(1, round(milliseconds * (1 + random / 2)))
