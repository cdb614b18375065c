"""Commands over REST: the upstash-redis SDK with a time limit, and what its errors mean.

The SDK would repeat every failure after three seconds, writes too, and would wait for ever. So its retries are off,
every call has a time limit, and `stores/attempts.py` decides what is repeated.
"""

from __future__ import annotations

import asyncio
import re
from collections.abc import Sequence
from typing import Any
from urllib.parse import urlsplit

import httpx
from upstash_redis.asyncio import Redis
from upstash_redis.errors import UpstashError

from gapless.log.errors import CorruptLog, StoreUnavailable
from gapless.stores.refusals import PermanentError, read_refusal
from gapless.stores.scripts import NoScript
from gapless.stores.topic import CLOSED
from gapless.stores.traffic import Traffic
from gapless.stores.upstash.start import LOOKS, check

REPLY_TIMEOUT = 4.0
AT_ONCE = 50
"""Commands under way together. More wait in line here: in httpx's pool each one that waits makes every other dearer, so
that a thousand channels that read at the same moment kept the process busy until all of them had timed out."""

_FLAG_REFUSED = re.compile("unexpected flag|shebang|compiling script", re.IGNORECASE)


class FlagRefused(Exception):
    """The server does not take the script's first line; nothing ran."""


class KeysRefused(StoreUnavailable):
    """A script that locks only its keys touched something else: it may have written before it did."""


class Rest:
    """One database. Nothing is connected before the first call."""

    def __init__(self, url: str, token: str, traffic: Traffic | None = None) -> None:
        self.url, self.token = url.strip().rstrip("/"), token.strip()
        check(self.url, self.token)
        self.name = f"Upstash at {urlsplit(self.url).hostname}"
        self._redis = Redis(self.url, self.token, rest_retries=0, allow_telemetry=False)
        self._places = asyncio.Semaphore(AT_ONCE)
        self._traffic = traffic or Traffic()
        self._closed = False

    async def attempt(self, *command: Any) -> Any:
        """The reply to a command that is sent once, when its turn comes.

        Raises StoreUnavailable, CorruptLog; for scripts NoScript and FlagRefused too.
        """
        try:
            async with asyncio.timeout(REPLY_TIMEOUT):
                await self._places.acquire()
        except TimeoutError:
            raise StoreUnavailable(f"{self.name} is asked for more than it can answer") from None
        try:
            return await self._send(command)
        finally:
            self._places.release()

    async def _send(self, command: Sequence[Any]) -> Any:
        if self._closed:
            raise StoreUnavailable(CLOSED)
        try:
            return await self._execute(command)
        except UpstashError as error:
            raise translate(str(error)) from None
        except (httpx.ConnectError, httpx.ConnectTimeout) as error:
            raise StoreUnavailable(f"{self.name} can't be reached: {_words(error)}") from None
        except (httpx.HTTPError, TimeoutError) as error:
            raise StoreUnavailable(f"{self.name} did not answer: {_words(error)}", outcome_unknown=True) from None
        except UnicodeDecodeError:
            raise CorruptLog("something else is stored under our keys: it is no text") from None
        except (ValueError, KeyError, TypeError, AttributeError):  # HTML, or JSON that is no reply
            detail = f"{self.name} answered, but not as Upstash does; if it goes on, check the URL: {LOOKS}"
            raise StoreUnavailable(detail, outcome_unknown=True) from None

    async def _execute(self, command: Sequence[Any]) -> Any:
        """The reply. Counted unless it is known that nothing was sent."""
        left = True
        try:
            async with asyncio.timeout(REPLY_TIMEOUT):
                reply = await self._redis.execute(list(command))
            self._traffic.received(reply)
            return reply
        except (httpx.ConnectError, httpx.ConnectTimeout):
            left = False
            raise
        finally:
            if left:
                self._traffic.sent(command)

    async def close(self) -> None:
        """Close every connection, once nothing is on its way: httpx forgets a socket that is just being opened."""
        self._closed = True
        for _ in range(AT_ONCE):
            await self._places.acquire()
        await self._redis.close()
        for _ in range(AT_ONCE):
            self._places.release()


def translate(error: str) -> Exception:
    """A refusal in our terms: what Upstash alone says, and what every server may."""
    if error.startswith("NOSCRIPT"):
        return NoScript(error)
    if "Dynamic keys" in error:
        return KeysRefused(f"Upstash refused a key: {error}", outcome_unknown=True)
    if _FLAG_REFUSED.search(error):
        return FlagRefused(error)
    if error.startswith(("WRONGPASS", "NOAUTH")):
        return PermanentError(
            "Upstash refused the token; check UPSTASH_REDIS_REST_TOKEN (it may be another database's)"
        )
    if error.startswith("NOPERM"):
        return PermanentError("UPSTASH_REDIS_REST_TOKEN is a read-only token; use the standard one, which may write")
    if error.startswith("ERR max "):
        return PermanentError(f"Upstash refused, for a limit of its plan: {error}")
    return read_refusal(error, who="Upstash")


def _words(error: Exception) -> str:
    return str(error) or type(error).__name__
