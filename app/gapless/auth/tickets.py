"""Tickets: read-only rights for named channels, so that no URL has to hold a token that can publish. Pure.

A ticket is a JWT that this service makes, signed with a key that is derived from its secret. (docs/protocol.md, 6.3)
"""

from __future__ import annotations

import hashlib
import hmac
import json
from collections.abc import Sequence

from gapless.auth.grant import SKEW, Grant
from gapless.auth.tokens import Unverified, signed_claims
from gapless.log.errors import Unauthorized

TICKET_SECONDS = 900
"""The longest life of a ticket; it never outlives the token it was made with."""


class Tickets:
    """Makes and verifies the tickets of one service.

    `secrets`: at least one; the first signs, each verifies, so that a secret can be changed. `realm`: what tells this
    service from others that have the same secret: its audience, issuer and prefix.
    """

    def __init__(self, secrets: Sequence[str], realm: Sequence[str | None]) -> None:
        self._keys = tuple(_derived(secret, realm) for secret in secrets)

    def make(self, grant: Grant, channels: Sequence[str], now: float) -> tuple[str, int]:
        """A ticket for these channels, and the Unix second in which it ends; raises Forbidden.

        Unauthorized where the token is past its end, and only the skew still lets it in.
        """
        import jwt  # noqa: PLC0415 - only services with keys pay for it

        grant.must_subscribe(channels)
        ends = int(now + TICKET_SECONDS if grant.expires is None else min(now + TICKET_SECONDS, grant.expires))
        if ends <= now:
            raise Unauthorized("The token has expired; a ticket can't outlive it.")
        claims = {"sub": grant.user, "channels": list(channels), "exp": ends, "typ": "ticket"}
        return jwt.encode({k: v for k, v in claims.items() if v is not None}, self._keys[0], "HS256"), ends

    def verify(self, ticket: str, now: float) -> Grant:
        """What a ticket's bearer may do; raises Unauthorized. Tickets are ours: their time has no skew."""
        for key in self._keys:
            try:
                claims = signed_claims(ticket, key, ["HS256"])
            except Unverified:
                continue
            return _grant(claims, now)
        raise Unauthorized("This is no ticket of this service.")


def _grant(claims: dict[str, object], now: float) -> Grant:
    channels, ends, user = claims.get("channels"), claims.get("exp"), claims.get("sub")
    if claims.get("typ") != "ticket" or not isinstance(channels, list) or not isinstance(ends, int):
        raise Unauthorized("This is not a ticket.")
    if ends <= now:
        raise Unauthorized("The ticket has ended; ask for a new one.")
    return Grant(None if user is None else str(user), (), tuple(map(str, channels)), admin=False, expires=ends - SKEW)


def _derived(secret: str, realm: Sequence[str | None]) -> str:
    """Another key than the tokens' and than another service's. JSON, so that no two realms are written alike."""
    return hmac.new(secret.encode(), b"gapless ticket " + json.dumps(list(realm)).encode(), hashlib.sha256).hexdigest()
