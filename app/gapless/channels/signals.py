"""The signals of one channel on their way to its streams: each once, however often it is told. Pure."""

from __future__ import annotations

from gapless.log.signals import parse_signal

MOST_KNOWN = 1024
"""Nonces that are remembered: notices may be doubled, and the store may be asked twice where a reply was lost."""


class Signals:
    """Turns notices into events. `on`: the channel offers signals."""

    def __init__(self, channel: str, *, on: bool) -> None:
        self._opening = f'{{"channel":"{channel}",'.encode()
        self._on = on
        self._known: dict[bytes, None] = {}

    def take(self, notice: bytes) -> bytes | None:
        """The event of a signal that was not told before; None for whatever else."""
        if not self._on or (found := parse_signal(notice)) is None:
            return None
        nonce, line = found
        if nonce in self._known or not line.startswith(self._opening):
            return None
        self._known[nonce] = None
        if len(self._known) > MOST_KNOWN:
            del self._known[next(iter(self._known))]
        return b"event: signal\ndata: %b\n\n" % line
