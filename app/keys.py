"""Where the keys for tokens come from: a shared secret, or a JWKS that is fetched, kept, and fetched anew."""

from __future__ import annotations

import asyncio
import json
import logging
import ssl
from collections.abc import Callable, Mapping
from functools import cache
from typing import Any

import httpx

from app.errors import KeysUnavailable, Unauthorized
from app.grant import Grant
from app.tokens import Expected, Unverified, algorithms_of, key_id, verify_published, verify_shared

KEEP = 600.0
"""Seconds after which a JWKS is fetched anew."""
AGAIN = 30.0
"""Seconds between fetches that an unknown key asks for: a stranger must not make us ask more often."""
RETRY = 2.0
"""Seconds after a failed fetch before the next one, where nothing can be done without it."""
TIMEOUT = 3.0
"""Seconds that a fetch may take, all in all."""
MOST_BYTES = 1_048_576

_log = logging.getLogger("gapless.keys")


class Keys:
    """Verifies tokens. `wall`: Unix seconds. At least one of `secret` and `jwks_url` is set."""

    def __init__(self, secret: str | None, jwks_url: str | None, expected: Expected, wall: Callable[[], float]) -> None:
        self._secret = secret
        self._published = None if jwks_url is None else PublishedKeys(jwks_url, wall)
        self._expected = expected
        self._wall = wall

    async def verify(self, token: str) -> Grant:
        """What the token's bearer may do; raises Unauthorized, or KeysUnavailable.

        Which key is tried depends on what we have, never on the algorithm that the token names: first the secret, which
        costs nothing, then the published key of the token's key id.
        """
        named = key_id(token)
        if self._secret is not None:
            try:
                return verify_shared(token, self._secret, self._expected, self._wall())
            except Unverified:
                if self._published is None:
                    raise
        assert self._published is not None  # noqa: S101 - the class says so
        jwk = await self._published.find(named)
        if jwk is None:
            raise Unauthorized("The token's key is not among the published ones.")
        return verify_published(token, jwk, self._expected, self._wall())


class PublishedKeys:
    """The JWKS at `url`, by key id. One fetch at a time, shared by all who wait for it."""

    def __init__(self, url: str, wall: Callable[[], float]) -> None:
        self._url = url
        self._wall = wall
        self._keys: dict[str, Mapping[str, Any]] = {}
        self._fetched = self._tried = float("-inf")
        self._failed = False
        self._fetching: asyncio.Task[None] | None = None

    async def find(self, named: str | None) -> Mapping[str, Any] | None:
        """The key of this id, or the only one for a token without; None where none is published.

        KeysUnavailable where nobody can know. While they can't be fetched, the keys fetched last go on.
        """
        if self._due(named):
            await self._refresh()
        found = self._get(named)
        if found is None and self._failed:
            raise KeysUnavailable("the keys at GAPLESS_JWKS_URL can't be fetched")
        return found

    def _due(self, named: str | None) -> bool:
        """Whether to fetch first. A clock that was set back makes everything due, once."""
        now, known = self._wall(), self._get(named) is not None
        if 0 <= now - self._tried < (RETRY if self._failed and not known else AGAIN):
            return False
        return not known or not 0 <= now - self._fetched < KEEP

    def _get(self, named: str | None) -> Mapping[str, Any] | None:
        if named is None and len(self._keys) == 1:
            return next(iter(self._keys.values()))
        return self._keys.get(named or "")

    async def _refresh(self) -> None:
        if self._fetching is None:
            self._fetching = asyncio.create_task(self._fetch(), name="gapless keys")
            self._fetching.add_done_callback(self._done)
        await asyncio.shield(self._fetching)

    def _done(self, _: asyncio.Task[None]) -> None:
        self._fetching = None

    async def _fetch(self) -> None:
        """Replace the keys by those published now, or remember that they could not be had."""
        self._failed = True
        try:
            async with asyncio.timeout(TIMEOUT):
                self._keys = read_keys(await _download(self._url))
            self._fetched, self._failed = self._wall(), False
        except (httpx.HTTPError, httpx.InvalidURL, TimeoutError, ValueError) as error:
            _log.warning("the keys at GAPLESS_JWKS_URL can't be fetched: %s", _reason(error))
        finally:
            self._tried = self._wall()


def read_keys(document: bytes) -> dict[str, Mapping[str, Any]]:
    """The keys of a JWKS that can verify tokens, by key id ("" where one has none); ValueError where it is none."""
    try:
        listed = json.loads(document)["keys"]
        usable = [key for key in listed if isinstance(key, dict) and algorithms_of(key)]
    except (ValueError, KeyError, TypeError, RecursionError):
        raise ValueError("it is no JSON Web Key Set") from None
    return {str(key.get("kid", "")): key for key in usable}


async def _download(url: str) -> bytes:
    """The document, of a bounded size. A redirection is a failure: only the address that was set is believed."""
    body = bytearray()
    async with httpx.AsyncClient(verify=_tls(), timeout=TIMEOUT) as client, client.stream("GET", url) as response:
        response.raise_for_status()
        async for piece in response.aiter_bytes():
            body += piece
            if len(body) > MOST_BYTES:
                raise ValueError("the document is too large")
    return bytes(body)


@cache
def _tls() -> ssl.SSLContext:
    """Made once: reading the certificates holds up the loop for tens of milliseconds."""
    return httpx.create_ssl_context()


def _reason(error: Exception) -> str:
    """Without the URL, which may hold a key of its own."""
    if isinstance(error, httpx.HTTPStatusError):
        return f"the answer was {error.response.status_code}"
    return str(error) if isinstance(error, ValueError) else type(error).__name__
