"""What of the machine's environment must not reach the product under test."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Mapping

# The product's settings, its stores, and the marks by which it knows a platform.
_OURS = re.compile(
    r"GAPLESS_\w+|REDIS_URL|UPSTASH_\w+|KV_URL|KV_REST_API_\w+|HOST|PORT|VERCEL(_\w+)?|AWS_(LAMBDA|LWA)_\w+|(OTEL|SENTRY)_\w+"
)


def ours(environ: Mapping[str, str]) -> list[str]:
    """The names in `environ` that would change what the product does."""
    return sorted(name for name in environ if _OURS.fullmatch(name))


def isolated(environ: Mapping[str, str]) -> dict[str, str]:
    """`environ` without them."""
    mine = set(ours(environ))
    return {name: value for name, value in environ.items() if name not in mine}
