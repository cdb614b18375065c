"""Why a stream ends. Pure."""

from __future__ import annotations

from enum import StrEnum


class End(StrEnum):
    """Why the service closes a stream."""

    DEADLINE = "deadline"
    SHUTDOWN = "shutdown"
    UNAVAILABLE = "unavailable"
    BUSY = "busy"
    AUTH = "auth"
    SLOW = "slow"
