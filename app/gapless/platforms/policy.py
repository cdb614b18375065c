"""For each kind of platform: how long a stream may live, and when its client comes back. Pure."""

from __future__ import annotations

from collections.abc import Mapping
from typing import NamedTuple

from gapless.delivery.mode import Mode


class Policy(NamedTuple):
    """What a platform allows. Seconds throughout.

    `reserve` is kept back from the platform's own deadline; `ceiling` bounds a stream whatever the settings say;
    `freezes`: the process may be frozen between requests, so a feed must read before it serves; `alone`: it is frozen
    right after each, so nothing may linger; `largest`: bytes of a message (GAPLESS_MAX_BODY) that its replies can hold.
    """

    platform: str
    mode: Mode = Mode.STREAMING
    reserve: float = 1.5
    ceiling: float | None = None
    freezes: bool = False
    alone: bool = False
    largest: int | None = None

    def lifetime(self, wanted: float, remaining: float | None, random: float) -> float:
        """How long this stream lives: at most `wanted`, ending `reserve` before the platform does.

        `random` in 0…1 spreads the ends over the last fifth, so that those who came together part.
        """
        return max(self.patience(wanted, remaining), 0.05) * (0.8 + 0.2 * random)

    def patience(self, wanted: float, remaining: float | None) -> float:
        """For how long a request may wait for something: at most `wanted`, and never into the platform's end."""
        usable = None if remaining is None else max(remaining - self.reserve, 0.0)
        return min(x for x in (wanted, self.ceiling, usable) if x is not None)


SERVER = Policy("server")
"""uvicorn on a machine of one's own: nothing ends a stream but the setting."""

LARGEST_BUFFERED = 1_835_008
"""Lambda takes 6 MiB of JSON, in which a byte of ours becomes up to three, and a turn holds 192 KiB besides."""

LAMBDA = Policy("lambda", Mode.BUFFERED, ceiling=20.0, freezes=True, alone=True, largest=LARGEST_BUFFERED)
"""AWS Lambda through Mangum: the body is handed over whole. 20 s stay below every front's 29."""

LAMBDA_ADAPTER = Policy("lambda-adapter", Mode.STREAMING, freezes=True, alone=True)
"""AWS Lambda through the Web Adapter with `response_stream`: uvicorn inside the function."""

LAMBDA_ADAPTER_BUFFERED = Policy(
    "lambda-adapter", Mode.BUFFERED, ceiling=20.0, freezes=True, alone=True, largest=LARGEST_BUFFERED
)
"""The Web Adapter in its default mode, which hands bodies over whole."""

VERCEL = Policy("vercel", Mode.STREAMING, reserve=3.0, freezes=True)
"""A Vercel Python function: streams, until the request's own deadline."""


def choose(environ: Mapping[str, str]) -> Policy:
    """The policy of the platform that this process runs on, by variables that the platform itself sets.

    On Lambda a server has the Web Adapter before it, whether it came as a zip with a wrapper or as an image; Mangum has
    an entry of its own, which needs no choice (app/gapless/aws.py).
    """
    if environ.get("VERCEL") == "1":  # first: its functions run on Lambda, and say so too
        return VERCEL
    if "AWS_LAMBDA_FUNCTION_NAME" in environ:
        streams = environ.get("AWS_LWA_INVOKE_MODE", "").lower() == "response_stream"
        return LAMBDA_ADAPTER if streams else LAMBDA_ADAPTER_BUFFERED
    return SERVER
