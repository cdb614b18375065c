"""What the bearer of a token or a ticket may do, and until when. Pure: the time is an argument."""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple

from gapless.log.errors import Forbidden

SKEW = 30.0
"""Seconds by which clocks may differ. A stream ends when its token would be refused, so that no client loops."""


class Grant(NamedTuple):
    """What its bearer may do. Patterns: a channel, or a prefix and `*`. `expires`: Unix seconds, None: never."""

    user: str | None = None
    publish: tuple[str, ...] = ()
    subscribe: tuple[str, ...] = ()
    admin: bool = False
    expires: float | None = None

    def must_publish(self, channel: str) -> None:
        """Raises Forbidden where the bearer may not publish there."""
        if not _covers(self.publish, channel):
            raise Forbidden(f"This token may not publish to '{channel}': its claim gapless.publish does not name it.")

    def must_subscribe(self, channels: Sequence[str]) -> None:
        """Raises Forbidden where the bearer may not read one of these."""
        for channel in channels:
            if not _covers(self.subscribe, channel):
                raise Forbidden(f"This token may not read '{channel}': its claim gapless.subscribe does not name it.")

    def must_administer(self) -> None:
        """Raises Forbidden where the bearer is no administrator."""
        if not self.admin:
            raise Forbidden("This needs a token with the claim gapless.admin.")

    def seconds_left(self, now: float) -> float | None:
        """Seconds until this would be refused; None: never."""
        return None if self.expires is None else max(0.0, self.expires + SKEW - now)


EVERYBODY = Grant(None, ("*",), ("*",), admin=False)
"""A service without keys: everybody may read and write; nobody may delete."""


def _covers(patterns: Sequence[str], channel: str) -> bool:
    return any(channel.startswith(p[:-1]) if p.endswith("*") else channel == p for p in patterns)
