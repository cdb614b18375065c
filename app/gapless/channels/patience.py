"""How long a feed bears what goes wrong before it ends, and when it looks again at what no notice tells.

`now` is the event loop's clock, in seconds.
"""

from __future__ import annotations

from gapless.channels.claims import CONFIRM
from gapless.channels.schedule import NEVER
from gapless.log.errors import CorruptLog, StoreUnavailable

RETRY = 0.5
"""Seconds before a read that failed is tried again."""


class Patience:
    """With a subscription that is lost, and with reads that fail: CONFIRM seconds for each."""

    def __init__(self) -> None:
        self._lost_since = self._failing_since = NEVER

    def lost(self, now: float) -> None:
        """The subscription is lost."""
        self._lost_since = now

    def heard(self) -> None:
        """It hears again."""
        self._lost_since = NEVER

    def left(self, now: float) -> float | None:
        """Seconds in which a lost subscription has to come back; None for one that hears."""
        return None if self._lost_since == NEVER else self._lost_since + CONFIRM - now

    def check(self, now: float) -> None:
        """Raise StoreUnavailable if the subscription is lost for too long."""
        if now - self._lost_since >= CONFIRM:
            raise StoreUnavailable("the subscription was lost and did not come back")

    def failed(self, now: float, error: StoreUnavailable, fresh: bool) -> None:
        """Raise the error of a read if there is nothing to hope for, if nothing was ever read, or after a while."""
        self._failing_since = min(self._failing_since, now)
        if isinstance(error, CorruptLog) or not fresh or now - self._failing_since >= CONFIRM:
            raise error

    def succeeded(self) -> None:
        """A read has answered."""
        self._failing_since = NEVER


class Settling:
    """What was written before a feed heard, and read from a replica that lags by `lag` seconds, is in no notice."""

    def __init__(self, lag: float) -> None:
        self._lag = lag
        self._at = NEVER

    def due(self, now: float) -> bool:
        """Whether a read that begins now is the one that looks for it."""
        return now >= self._at

    def left(self, now: float, anew: bool, looked: bool) -> float | None:
        """Seconds until the next look. `anew`: the feed has just begun to hear; `looked`: this read was one."""
        if anew and self._lag:
            self._at = now + self._lag
        elif looked:
            self._at = NEVER
        return None if self._at == NEVER else self._at - now
