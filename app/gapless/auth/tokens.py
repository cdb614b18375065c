"""The application's tokens: verified, and made. Pure: the time is an argument. (docs/protocol.md, 6.1)"""

from __future__ import annotations

import math
import re
from collections.abc import Mapping, Sequence
from typing import Any, NamedTuple

from gapless.auth.grant import SKEW, Grant
from gapless.auth.key_set import PublishedKey
from gapless.log.errors import Unauthorized

TOKEN_MAX = 31 * 86_400
"""Seconds ahead that a token may end, unless it is set otherwise."""

_NO_AUDIENCE = "The token needs the claim aud, which has to name GAPLESS_JWT_AUDIENCE."
_COGNITO = " It has a client_id, as the access tokens of Amazon Cognito do: send the ID token instead."
# What a message's `user` may be: `sub` becomes it without being looked at again.
_USER = re.compile(r"[^\x00-\x1f\x7f\ud800-\udfff]{1,128}")


class Unverified(Unauthorized):
    """This key did not sign the token; another one may have."""


class Expected(NamedTuple):
    """What a token must say beside its signature; None: anything. `longest`: seconds ahead that it may end."""

    audience: str | None = None
    issuer: str | None = None
    longest: float = TOKEN_MAX


def key_id(token: str) -> str | None:
    """The key that the token names, to look up among ours; raises Unauthorized where it is no JWT."""
    import jwt  # noqa: PLC0415 - only services with keys pay for it

    try:
        named = jwt.get_unverified_header(token).get("kid")
    except (jwt.PyJWTError, ValueError, RecursionError):
        raise Unauthorized("The token is not a JWT.") from None
    return named if isinstance(named, str) else None


def verify_shared(token: str, secret: str, expected: Expected, now: float) -> Grant:
    """The grant of a token signed with our shared secret (HS256); raises Unauthorized, Unverified by another key."""
    return _grant(signed_claims(token, secret, ["HS256"]), expected, now)


def verify_published(token: str, key: PublishedKey, expected: Expected, now: float) -> Grant:
    """The grant of a token signed with a published key, by that key's own kind of algorithm; raises as above."""
    return _grant(signed_claims(token, key.public, list(key.algorithms)), expected, now)


def make_token(
    secret: str, user: str, publish: Sequence[str], subscribe: Sequence[str], expires: int, **more: Any
) -> str:
    """A token, as an application would make it; for development. `more`: other claims, `admin` among gapless's own."""
    import jwt  # noqa: PLC0415

    own: dict[str, Any] = {"publish": list(publish), "subscribe": list(subscribe)}
    if more.pop("admin", False):
        own["admin"] = True
    return jwt.encode({"sub": user, "exp": expires, "gapless": own, **more}, secret, "HS256")


def signed_claims(token: str, key: Any, algorithms: list[str]) -> dict[str, Any]:
    """The claims of a token with a good signature, of which none was looked at yet; raises Unverified."""
    import jwt  # noqa: PLC0415

    names = ("exp", "nbf", "iat", "aud", "iss", "sub", "jti")
    options: Any = dict.fromkeys((f"verify_{name}" for name in names), False)
    try:
        claims: dict[str, Any] = jwt.decode(token, key, algorithms, options=options)
    except (jwt.PyJWTError, ValueError, TypeError, RecursionError):
        raise Unverified("The token's signature can't be verified.") from None
    return claims


def _grant(claims: Mapping[str, Any], expected: Expected, now: float) -> Grant:
    """What the claims allow; raises Unauthorized for those that say too little, or are not for us, or not now."""
    _must_be_for_us(claims, expected)
    user = claims.get("sub")
    if not isinstance(user, str) or not _USER.fullmatch(user):
        raise Unauthorized("The token needs the claim sub: 1 to 128 characters, no control characters.")
    expires = _end(claims, expected.longest, now)
    begins = claims.get("nbf")
    if begins is not None and ((begins := _time(begins)) is None or begins - SKEW > now):
        raise Unauthorized("The token is not valid yet.")
    own = claims.get("gapless")
    own = own if isinstance(own, Mapping) else {}
    return Grant(user, _patterns(own, "publish"), _patterns(own, "subscribe"), own.get("admin") is True, expires)


def _must_be_for_us(claims: Mapping[str, Any], expected: Expected) -> None:
    """Raises Unauthorized where audience or issuer are set, and the token names others or none."""
    if expected.audience is not None:
        named = claims.get("aud")
        if named is None:
            raise Unauthorized(_NO_AUDIENCE + (_COGNITO if "client_id" in claims else ""))
        if expected.audience not in (named if isinstance(named, list) else [named]):
            raise Unauthorized("The token is for another audience (its claim aud).")
    if expected.issuer is not None and claims.get("iss") != expected.issuer:
        raise Unauthorized("The token is of another issuer, or names none (its claim iss).")


def _end(claims: Mapping[str, Any], longest: float, now: float) -> float:
    """When the token ends; raises Unauthorized where it has, or names no end, or one too far ahead."""
    expires = _time(claims.get("exp"))
    if expires is None:
        raise Unauthorized("The token needs the claim exp: when it ends, in Unix seconds.")
    if expires + SKEW <= now:
        raise Unauthorized("The token has expired.")
    if expires > now + longest + SKEW:
        if expires > 100 * now:  # thousands of years ahead
            raise Unauthorized("The token's claim exp is in milliseconds; it has to be in Unix seconds.")
        days = longest / 86_400
        raise Unauthorized(f"The token ends too late: its claim exp may be {days:g} days ahead (GAPLESS_TOKEN_MAX).")
    return expires


def _time(claim: Any) -> float | None:
    """Unix seconds; None for what is none. JSON as Python reads it has infinities, and numbers beyond any float."""
    if isinstance(claim, bool) or not isinstance(claim, int | float) or not abs(claim) < 1e15:
        return None
    return float(claim) if math.isfinite(claim) else None


def _patterns(own: Mapping[str, Any], right: str) -> tuple[str, ...]:
    listed = own.get(right)
    return tuple(p for p in listed if isinstance(p, str)) if isinstance(listed, list) else ()
