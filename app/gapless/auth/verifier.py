"""The keys that verify tokens: shared secrets, or a JWKS that is fetched, cached, and fetched again."""

from __future__ import annotations

import asyncio
import logging
import ssl
from collections.abc import Callable, Sequence
from functools import cache

import httpx

from gapless.auth.grant import Grant
from gapless.auth.key_set import KeySet, PublishedKey, read_key_set
from gapless.auth.tokens import Expected, Unverified, key_id, verify_published, verify_shared
from gapless.log.errors import KeysUnavailable, Unauthorized
from gapless.runtime.tasks import end

EARLY = 300.0
"""Seconds after which a JWKS is fetched anew, while those that are known go on."""
KEEP = 600.0
"""Seconds after which nobody goes on before it was asked for again: a key that is withdrawn counts no longer."""
AGAIN = 30.0
"""Seconds between fetches: a stranger with an unknown key must not make us ask more often."""
RETRY = 2.0
"""Seconds after a failed fetch before the next one, where nothing can be done without it."""
TIMEOUT = 3.0
"""Seconds that a fetch may take, all in all."""
FROZEN = 60.0
"""Seconds by the clock after which a fetch, which ends within `TIMEOUT`, must have stood still."""
MOST_BYTES = 1_048_576
MOST_SAID = 5
"""Unusable entries of a set that are logged."""

_log = logging.getLogger("gapless.keys")


class TokenVerifier:
    """Verifies tokens. `clock`: Unix seconds. At least one of `secrets` and `jwks_url` is there.

    `secrets`: each verifies, so that one can be changed while tokens of the other are about.
    """

    def __init__(
        self, secrets: Sequence[str], jwks_url: str | None, expected: Expected, clock: Callable[[], float]
    ) -> None:
        self._secrets = tuple(secrets)
        self._published = None if jwks_url is None else PublishedKeys(jwks_url, clock)
        self._expected = expected
        self._clock = clock

    async def verify(self, token: str) -> Grant:
        """What the token's bearer may do; raises Unauthorized, or KeysUnavailable.

        Which keys are tried depends on what we have, never on the algorithm that the token names: first the secrets,
        which cost nothing, then the published keys of the token's key id.
        """
        named = key_id(token)
        for secret in self._secrets:
            try:
                return verify_shared(token, secret, self._expected, self._clock())
            except Unverified:
                continue
        if self._published is None:
            raise Unverified("The token's signature can't be verified.")
        found = await self._published.find(named)
        if not found:
            raise Unauthorized("The token's key is not among the published ones.")
        for key in found:
            try:
                return verify_published(token, key, self._expected, self._clock())
            except Unverified:
                continue
        raise Unverified("The token's signature can't be verified.")

    async def close(self) -> None:
        """Leave nothing running."""
        if self._published is not None:
            await self._published.close()


class PublishedKeys:
    """The JWKS at `url`. One fetch at a time, shared by all who wait for it.

    A token that names a known key does not wait: the next set is fetched while the last one is used. Only if no token
    came for a long time, it waits, too. Some platforms freeze the process between requests, and a fetch with it;
    what comes of such a fetch says nothing about the publisher.
    """

    def __init__(self, url: str, clock: Callable[[], float]) -> None:
        self._url = url
        self._clock = clock
        self._set = KeySet()
        self._began = self._tried = self._fetched = float("-inf")
        self._failed = False
        self._fetching: asyncio.Task[None] | None = None

    async def find(self, named: str | None) -> tuple[PublishedKey, ...]:
        """The keys of this id, or those of the only id for a token without; none where none is published.

        KeysUnavailable where nobody can know. While they can't be fetched, the keys fetched last go on.
        """
        for _ in range(2):  # once more where the first fetch was frozen
            if not self._must_wait(known=bool(self._set.find(named))):
                break
            await asyncio.shield(self._refresh())
        if self._since(self._fetched) >= EARLY and self._since(self._began) >= AGAIN:
            self._refresh()
        found = self._set.find(named)
        if not found and self._failed:
            raise KeysUnavailable("the keys at GAPLESS_JWKS_URL can't be fetched")
        return found

    async def close(self) -> None:
        """End a fetch that is under way."""
        if self._fetching is not None:
            await end(self._fetching)

    def _must_wait(self, *, known: bool) -> bool:
        """Whether to fetch before anything is said: of an unknown key, or one that may have been withdrawn long ago."""
        if known:
            return self._since(max(self._fetched, self._tried)) >= KEEP
        return self._since(self._tried) >= (RETRY if self._failed else AGAIN)

    def _since(self, moment: float) -> float:
        """Seconds since then; long ago where the clock was set back meanwhile."""
        passed = self._clock() - moment
        return passed if passed >= 0 else float("inf")

    def _refresh(self) -> asyncio.Task[None]:
        if self._fetching is None:
            self._fetching = asyncio.create_task(self._fetch(), name="gapless keys")
            self._fetching.add_done_callback(self._done)
        return self._fetching

    def _done(self, _: asyncio.Task[None]) -> None:
        self._fetching = None

    async def _fetch(self) -> None:
        """Replace the keys by those published now, or remember that they could not be had."""
        self._began = self._clock()
        try:
            async with asyncio.timeout(TIMEOUT):
                found = read_key_set(await _download(self._url))
            self._say(found)
            self._set, self._fetched, self._failed = found, self._began, False
        except Exception as error:  # whatever it is, the keys fetched last go on, and nobody may be there to hear it
            self._failed = True
            _log.warning("the keys at GAPLESS_JWKS_URL can't be fetched: %s", _reason(error))
        finally:
            if self._since(self._began) < FROZEN:
                self._tried = self._clock()

    def _say(self, found: KeySet) -> None:
        """Log what of the set can't be used, once for as long as it stays so."""
        if found.refused != self._set.refused:
            for sentence in found.refused[:MOST_SAID]:
                _log.warning("of the keys at GAPLESS_JWKS_URL, %s", sentence)


async def _download(url: str) -> bytes:
    """The document, of a bounded size. A redirection is a failure: only the address that was set is believed.

    Never compressed: a few bytes could become many before they are counted.
    """
    body, plain = bytearray(), {"Accept-Encoding": "identity"}
    async with (
        httpx.AsyncClient(verify=_tls(), timeout=TIMEOUT, headers=plain) as client,
        client.stream("GET", url) as response,
    ):
        response.raise_for_status()
        if response.headers.get("Content-Encoding", "identity") != "identity":
            raise ValueError("the document comes compressed, which was not asked for")
        async for piece in response.aiter_raw():
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
