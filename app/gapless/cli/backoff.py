"""When a client tries again, and how long it waits before that. Pure."""

from __future__ import annotations

FIRST, LONGEST = 0.2, 5.0
"""Seconds of the first pause and of the longest."""
MOST_ASKED = 60.0
"""Seconds that a service may ask a client to wait."""
PASSING = frozenset({408, 425, 429, 500, 502, 503, 504})
"""Statuses that another attempt may not meet again."""


def pause(failures: int, random: float, *, first: float = FIRST) -> float:
    """Seconds to wait after so many failures in a row, 1 and up; half of it is spread by `random`, from 0 to 1."""
    longest = max(first, LONGEST)
    return min(longest, first * 2.0 ** min(failures - 1, 16)) * (0.5 + random / 2)


def asked_for(retry_after_ms: object, retry_after: str | None) -> float:
    """Seconds that a reply asks to wait, by its member `retryAfterMs` or its header `Retry-After`; else 0."""
    if isinstance(retry_after_ms, int | float):
        return min(max(retry_after_ms / 1000, 0.0), MOST_ASKED)
    seconds = retry_after or ""
    return min(float(seconds), MOST_ASKED) if seconds.isascii() and seconds.isdigit() else 0.0
