"""Signals: sent to those who read a channel now, and never stored."""

from __future__ import annotations

from collections.abc import Callable

from gapless.log.errors import TooLarge, TooMany
from gapless.log.signals import MOST_BYTES, Signal
from gapless.log.store import Store
from gapless.services.publishing import PublishLimits, Sender


class Signalling:
    """Sends signals on any channel. `limits`: of a channel."""

    def __init__(self, store: Store, limits: Callable[[str], PublishLimits]) -> None:
        self._store = store
        self._limits = limits

    async def send(self, channel: str, nonce: str, line: bytes, now: int, sender: Sender) -> None:
        """Tell a line of JSON to every stream that is open now. `now`: milliseconds since 1970.

        Raises TooLarge, TooMany over the rate, CannotSignal where notices are polled, StoreUnavailable.
        """
        if len(line) > MOST_BYTES:
            raise TooLarge(f"A signal is sent in at most {MOST_BYTES} bytes; this one has {len(line)}.")
        signal = Signal(channel, nonce, line, now, self._limits(channel).signal_rate(sender.subject))
        if wait := await self._store.signal(signal):
            sender.pay(1)
            raise TooMany("Too many signals on this channel; wait and send again.", wait / 1000, retryAfterMs=wait)
