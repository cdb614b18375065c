"""How long a stream may live, and when its client comes back, on each kind of platform. Pure."""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum


class Mode(StrEnum):
    """Whether bytes reach the client as they are written, or only when the response is complete."""

    STREAMING = "streaming"
    BUFFERED = "buffered"


@dataclass(frozen=True, slots=True)
class Policy:
    """What a platform allows. Seconds throughout.

    `reserve` is kept back from the platform's own deadline; `ceiling` bounds a stream whatever the settings say;
    `freezes`: the process may be frozen between requests, so a feed must read before it serves.
    """

    platform: str
    mode: Mode = Mode.STREAMING
    reserve: float = 1.5
    ceiling: float | None = None
    freezes: bool = False

    def lifetime(self, wanted: float, remaining: float | None, dice: float) -> float:
        """How long this stream lives: at most `wanted`, ending `reserve` before the platform does.

        `dice` in 0…1 spreads the ends over the last fifth, so that those who came together part.
        """
        longest = min(x for x in (wanted, self.ceiling, self._usable(remaining)) if x is not None)
        return max(longest, 0.05) * (0.8 + 0.2 * dice)

    def _usable(self, remaining: float | None) -> float | None:
        return None if remaining is None else remaining - self.reserve


SERVER = Policy("server")
"""uvicorn on a machine of one's own: nothing ends a stream but the setting."""


def jittered(milliseconds: int, dice: float) -> int:
    """A retry that is spread over its second half again, so that a herd comes back as a trickle; never 0."""
    return max(1, round(milliseconds * (1 + dice / 2)))
