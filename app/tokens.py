"""Who may do what: tokens and tickets, verified and made. Pure: the time is an argument. (docs/protocol.md, section 6)

A token is a JWT of the application's own; a ticket is one of ours, read-only, for named channels, so that nothing that
can publish has to stand in a URL. They are signed with different keys, so that neither passes for the other.
"""

from __future__ import annotations

import hashlib
import hmac
import math
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from app.errors import Unauthorized
from app.grant import SKEW, Grant

TICKET_SECONDS = 900
"""The longest life of a ticket; it never outlives the token it was made with."""

_RSA = ("RS256", "RS384", "RS512", "PS256", "PS384", "PS512")
_CURVES = {"P-256": ("ES256",), "P-384": ("ES384",), "P-521": ("ES512",)}
_EDWARDS = ("EdDSA",)
# What a message's `user` may be: `sub` becomes it without being looked at again.
_USER = re.compile(r"[^\x00-\x1f\x7f\ud800-\udfff]{1,128}")


class Unverified(Unauthorized):
    """This key did not sign the token; another one may have."""


@dataclass(frozen=True, slots=True)
class Expected:
    """What a token must say beside its signature; None: anything."""

    audience: str | None = None
    issuer: str | None = None


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
    return _grant(_claims(token, secret, ["HS256"], expected), now)


def verify_published(token: str, jwk: Mapping[str, Any], expected: Expected, now: float) -> Grant:
    """The grant of a token signed with a published key, by that key's own kind of algorithm; raises Unauthorized."""
    import jwt  # noqa: PLC0415

    allowed = algorithms_of(jwk)
    try:
        key = jwt.PyJWK({**jwk, "alg": allowed[0]}).key
    except (jwt.PyJWTError, ValueError, TypeError, KeyError, IndexError, AttributeError):
        raise Unauthorized("The token's key can't be used to verify tokens.") from None
    return _grant(_claims(token, key, allowed, expected), now)


def algorithms_of(jwk: Mapping[str, Any]) -> list[str]:
    """The algorithms that a published key may verify: those of its kind, and of its own narrower word. Often none."""
    if jwk.get("use", "sig") != "sig":
        return []
    allowed = {"RSA": _RSA, "EC": _CURVES.get(str(jwk.get("crv")), ()), "OKP": _EDWARDS}.get(str(jwk.get("kty")), ())
    return [name for name in allowed if jwk.get("alg", name) == name]


def make_ticket(grant: Grant, channels: Sequence[str], secret: str, now: float) -> tuple[str, int]:
    """A ticket for these channels, and the Unix second in which it ends; raises Forbidden.

    Unauthorized where the token is past its end, and only the skew still lets it in.
    """
    import jwt  # noqa: PLC0415

    grant.must_subscribe(channels)
    ends = int(now + TICKET_SECONDS if grant.expires is None else min(now + TICKET_SECONDS, grant.expires))
    if ends <= now:
        raise Unauthorized("The token has expired; a ticket can't outlive it.")
    claims = {"sub": grant.user, "channels": list(channels), "exp": ends, "typ": "ticket"}
    return jwt.encode({k: v for k, v in claims.items() if v is not None}, _ticket_key(secret), "HS256"), ends


def verify_ticket(ticket: str, secret: str, now: float) -> Grant:
    """What a ticket's bearer may do; raises Unauthorized. Tickets are ours: their time has no skew."""
    claims = _claims(ticket, _ticket_key(secret), ["HS256"], Expected())
    channels = claims.get("channels")
    if claims.get("typ") != "ticket" or not isinstance(channels, list) or not isinstance(claims.get("exp"), int):
        raise Unauthorized("This is not a ticket.")
    if claims["exp"] <= now:
        raise Unauthorized("The ticket has ended; ask for a new one.")
    return Grant(claims.get("sub"), (), tuple(map(str, channels)), admin=False, expires=claims["exp"] - SKEW)


def make_token(
    secret: str, user: str, publish: Sequence[str], subscribe: Sequence[str], expires: int, **more: Any
) -> str:
    """A token, as an application would make it; for development. `more`: other claims, `admin` among gapless's own."""
    import jwt  # noqa: PLC0415

    own: dict[str, Any] = {"publish": list(publish), "subscribe": list(subscribe)}
    if more.pop("admin", False):
        own["admin"] = True
    return jwt.encode({"sub": user, "exp": expires, "gapless": own, **more}, secret, "HS256")


def _claims(token: str, key: Any, algorithms: list[str], expected: Expected) -> dict[str, Any]:
    """The claims of a token with a good signature; its times and subject are looked at by us, not by the library."""
    import jwt  # noqa: PLC0415

    looked_at = dict.fromkeys(("verify_exp", "verify_nbf", "verify_iat", "verify_sub", "verify_jti"), False)
    options: Any = {**looked_at, "verify_aud": expected.audience is not None}
    try:
        claims: dict[str, Any] = jwt.decode(
            token, key, algorithms, options=options, audience=expected.audience, issuer=expected.issuer
        )
    except jwt.InvalidAudienceError:
        raise Unauthorized("The token is for another audience.") from None
    except jwt.InvalidIssuerError:
        raise Unauthorized("The token is of another issuer.") from None
    except jwt.MissingRequiredClaimError as error:
        raise Unauthorized(f"The token needs the claim {error.claim}.") from None
    except (jwt.PyJWTError, ValueError, TypeError, RecursionError):
        raise Unverified("The token's signature can't be verified.") from None
    return claims


def _grant(claims: Mapping[str, Any], now: float) -> Grant:
    """What the claims allow; raises Unauthorized for those that say too little, or at the wrong time."""
    user, expires, begins = claims.get("sub"), _time(claims.get("exp")), claims.get("nbf")
    if not isinstance(user, str) or not _USER.fullmatch(user):
        raise Unauthorized("The token needs the claim sub: 1 to 128 characters, no control characters.")
    if expires is None:
        raise Unauthorized("The token needs the claim exp: when it ends, in Unix seconds.")
    if expires + SKEW <= now:
        raise Unauthorized("The token has expired.")
    if begins is not None and ((begins := _time(begins)) is None or begins - SKEW > now):
        raise Unauthorized("The token is not valid yet.")
    own = claims.get("gapless")
    own = own if isinstance(own, Mapping) else {}
    return Grant(user, _patterns(own, "publish"), _patterns(own, "subscribe"), own.get("admin") is True, expires)


def _time(claim: Any) -> float | None:
    """Unix seconds; None for what is none. JSON as Python reads it has infinities, and numbers beyond any float."""
    if isinstance(claim, bool) or not isinstance(claim, int | float) or not abs(claim) < 1e15:
        return None
    return float(claim) if math.isfinite(claim) else None


def _patterns(own: Mapping[str, Any], right: str) -> tuple[str, ...]:
    listed = own.get(right)
    return tuple(p for p in listed if isinstance(p, str)) if isinstance(listed, list) else ()


def _ticket_key(secret: str) -> str:
    """Another key than the tokens', from the same secret."""
    return hmac.new(secret.encode(), b"gapless ticket", hashlib.sha256).hexdigest()
