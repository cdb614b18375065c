"""`gapless token`: makes a token as the application would, for development and for servers that publish."""

from __future__ import annotations

import re
import sys
import time
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from gapless.api.schemas import CHANNEL
from gapless.auth.tokens import make_token
from gapless.config.startup import BadSetting, read_settings


@dataclass(frozen=True, slots=True)
class Wanted:
    """What the token shall say. `publish`, `subscribe`: comma lists of patterns, each of which may be repeated."""

    user: str
    publish: Sequence[str]
    subscribe: Sequence[str]
    minutes: int
    admin: bool


def token(wanted: Wanted) -> int:
    """Print a token made with GAPLESS_JWT_SECRET; BadSetting where there is none, or a pattern that covers nothing."""
    settings = read_settings()
    if settings.jwt_secret is None:
        raise BadSetting(
            "GAPLESS_JWT_SECRET is not set; tokens are signed with it. Set it here as for the service: "
            'export GAPLESS_JWT_SECRET="$(openssl rand -base64 32)"'
        )
    if 60 * wanted.minutes > settings.token_max:
        raise BadSetting(
            f"--minutes is {wanted.minutes}, but a token may last {settings.token_max / 60:g} (GAPLESS_TOKEN_MAX is "
            f"{settings.token_max:g} seconds)."
        )
    more: dict[str, Any] = {"aud": settings.jwt_audience, "iss": settings.jwt_issuer}
    made = make_token(
        settings.jwt_secret.get_secret_value(),
        wanted.user,
        _patterns(wanted.publish),
        _patterns(wanted.subscribe),
        int(time.time()) + 60 * wanted.minutes,
        admin=wanted.admin,
        **{claim: value for claim, value in more.items() if value is not None},
    )
    sys.stdout.write(f"{made}\n")
    return 0


def _patterns(texts: Sequence[str]) -> list[str]:
    found = [part.strip() for text in texts for part in text.split(",") if part.strip()]
    for pattern in found:
        if not re.fullmatch(CHANNEL[1:-1], pattern.removesuffix("*") or "any"):
            raise BadSetting(
                f"{pattern!r} is no pattern: a channel, or the beginning of one and *. Quote it in a shell."
            )
    return found
