"""Where the keys for tokens come from: a shared secret, or a JWKS that is fetched, kept, and fetched anew."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Mapping
from typing import Any

import httpx

from app.errors import StoreUnavailable, Unauthorized
from app.tokens import Expected, Grant, key_id, verify_published, verify_shared

KEEP = 600.0
"""Seconds after which a JWKS is fetched anew."""
AGAIN = 30.0
"""Seconds between fetches that an unknown key asks for: a stranger must not make us ask more often."""
TIMEOUT = 3.0
MOST_BYTES = 1_048_576


class KeysUnavailable(StoreUnavailable):
    """The keys can't be fetched, so nobody can be told apart; nothing was written."""


class Keys:
    """Verifies tokens. `wall`: Unix seconds. At least one of `secret` and `jwks_url` is set."""

    def __init__(self, secret: str | None, jwks_url: str | None, expected: Expected, wall: Callable[[], float]) -> None:
        self._secret = secret
        self._jwks_url = jwks_url
        self._expected = expected
        self._wall = wall
        self._published: dict[str, Mapping[str, Any]] = {}
        self._fetched = -KEEP
        self._fetching = asyncio.Lock()

    async def verify(self, token: str) -> Grant:
        """What the token's bearer may do; raises Unauthorized, or KeysUnavailable.

        Which key is tried depends on what we have, never on the algorithm that the token names.
        """
        named = key_id(token)
        if self._jwks_url is not None:
            jwk = await self._find(named)
            if jwk is not None:
                return verify_published(token, jwk, self._expected, self._wall())
        if self._secret is None:
            raise Unauthorized("The token's key is not among the published ones.")
        return verify_shared(token, self._secret, self._expected, self._wall())

    async def _find(self, named: str | None) -> Mapping[str, Any] | None:
        now = self._wall()
        if now - self._fetched >= KEEP or (self._get(named) is None and now - self._fetched >= AGAIN):
            await self._fetch(named)
        return self._get(named)

    def _get(self, named: str | None) -> Mapping[str, Any] | None:
        if named is None and len(self._published) == 1:
            return next(iter(self._published.values()))
        return self._published.get(named or "")

    async def _fetch(self, named: str | None) -> None:
        """Fetch the keys; old ones serve on while the new can't be had."""
        async with self._fetching:
            if self._wall() - self._fetched < AGAIN and self._get(named) is not None:
                return
            try:
                async with httpx.AsyncClient(timeout=TIMEOUT) as client:
                    response = await client.get(self._jwks_url or "")
                response.raise_for_status()
                if len(response.content) > MOST_BYTES:
                    raise ValueError("too large")
                self._published = {str(k.get("kid", "")): k for k in response.json()["keys"] if k.get("kty") != "oct"}
                self._fetched = self._wall()
            except (httpx.HTTPError, ValueError, KeyError, TypeError, AttributeError) as error:
                if not self._published:
                    raise KeysUnavailable(f"the keys at GAPLESS_JWKS_URL can't be fetched: {error}") from None
