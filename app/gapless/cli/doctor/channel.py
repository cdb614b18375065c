"""A channel of the doctor's own, among those that a token may write and read. Pure."""

from __future__ import annotations

import base64
import json
import re
from collections.abc import Mapping, Sequence
from typing import Any

PREFIX = "gapless-doctor."
_NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9_.:-]{0,56}")  # seven characters are for the channel that stays quiet
QUIET = ".quiet"


def claims_of(token: str | None) -> Mapping[str, Any] | None:
    """What a token says, unverified; None where it is no JWT."""
    parts = (token or "").split(".")
    try:
        told = json.loads(base64.urlsafe_b64decode(parts[1] + "=" * (-len(parts[1]) % 4)))
    except (ValueError, IndexError):
        return None
    return told if isinstance(told, dict) else None


def patterns(claims: Mapping[str, Any] | None, right: str) -> list[str]:
    """The channels of a right, `publish` or `subscribe`."""
    own = (claims or {}).get("gapless")
    listed = own.get(right) if isinstance(own, dict) else None
    return [str(one) for one in listed] if isinstance(listed, list) else []


def is_admin(claims: Mapping[str, Any] | None) -> bool:
    """Whether the token says that its bearer may list and delete channels."""
    own = (claims or {}).get("gapless")
    return isinstance(own, dict) and own.get("admin") is True


def own_channel(claims: Mapping[str, Any] | None, chance: str) -> str:
    """A name that nobody uses, and that the token covers where any such name is covered. `chance`: 8 characters."""
    named = f"{PREFIX}{chance}"
    begun = [pattern[:-1] for pattern in patterns(claims, "publish") if pattern.endswith("*")]
    for name in [named, *(f"{prefix}doctor-{chance}" for prefix in begun)]:
        rights = (patterns(claims, "publish"), patterns(claims, "subscribe"))
        if all(_covered(name, right) for right in rights) and _NAME.fullmatch(name):
            return name
    return named


def _covered(name: str, listed: Sequence[str]) -> bool:
    return any(name.startswith(one[:-1]) if one.endswith("*") else name == one for one in listed)
