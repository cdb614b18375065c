"""Redis or Valkey over TCP or a unix socket, through redis-py; reconnects by itself.

Commands share a bounded pool; all channels of a process share one pub/sub connection (`redis_pubsub.py`). redis-py's
own retries are off: what may be repeated, and what never may, is decided here.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any
from urllib.parse import urlsplit

from redis import exceptions
from redis.asyncio import BlockingConnectionPool, Connection
from redis.asyncio.retry import Retry
from redis.backoff import NoBackoff

from app.errors import CorruptLog, StartupRefused, StoreUnavailable
from app.events import Entry
from app.store import Listener, Outcome, Publication, Slice, Subscription
from app.stores.attempts import persist
from app.stores.redis_pubsub import Ears
from app.stores.scripts import Layout, Script, load, read_entries, read_outcome, read_slice

CONNECT_TIMEOUT = 2.0
REPLY_TIMEOUT = 3.0
POOL = 32

_LOST = (exceptions.ConnectionError, exceptions.TimeoutError, OSError)


class RedisStore:
    """A store at `url`: `redis://`, `rediss://` or `unix://`. Nothing is connected before the first call."""

    recheck = 15.0

    def __init__(self, url: str, layout: Callable[[int], Layout], *, page: int) -> None:
        options: dict[str, Any] = {} if url.startswith("unix:") else {"socket_keepalive": True}
        try:
            self._pool = BlockingConnectionPool.from_url(
                url,
                max_connections=POOL,
                timeout=REPLY_TIMEOUT,
                socket_timeout=REPLY_TIMEOUT,
                socket_connect_timeout=CONNECT_TIMEOUT,
                retry=Retry(NoBackoff(), 0),
                protocol=2,
                driver_info=None,
                **options,
            )
        except ValueError as error:
            raise StartupRefused(f"REDIS_URL can't be read: {error}. It looks like redis://localhost:6379/0.") from None
        self.name = describe(url)
        self.page = page
        self._layout = layout(int(self._pool.connection_kwargs.get("db") or 0))
        self._ears = Ears(self._listening_connection)

    def state(self) -> dict[str, str]:
        """See the port."""
        return {"scripts": "plain", "notices": "subscribe"}

    async def publish(self, publication: Publication) -> Outcome:
        """See the port. One EVALSHA; sent again after a lost reply only where every message has an idempotency key."""
        keys, args = self._layout.publish(publication)
        reply = await self._run(load("publish"), keys, args, repeatable=publication.repeatable)
        return read_outcome(publication, reply)[0]

    async def tail(self, channel: str, count: int) -> list[Entry]:
        """See the port. One LRANGE."""
        count = min(count, self.page)
        return read_entries(await self._call("LRANGE", self._layout.log(channel), -count, -1, repeatable=True))

    async def slice(self, channel: str, first: int, last: int) -> Slice:
        """See the port. One EVALSHA around LINDEX, LINDEX, LRANGE."""
        args = [str(first), str(min(last, first + self.page - 1))]
        return read_slice(await self._run(load("slice"), [self._layout.log(channel)], args, repeatable=True))

    async def subscribe(self, channel: str, listener: Listener) -> Subscription:
        """See the port."""
        return await self._ears.subscribe(self._layout.topic(channel), channel, listener)

    async def ping(self) -> None:
        """See the port."""
        await self._call("PING", repeatable=True)

    async def close(self) -> None:
        """See the port."""
        await self._ears.close()
        await self._pool.aclose()

    async def _run(self, script: Script, keys: list[str], args: list[Any], *, repeatable: bool) -> Any:
        """A script by its SHA-1; with its text where the server does not know it (which ran nothing)."""
        try:
            return await self._call("EVALSHA", script.sha, len(keys), *keys, *args, repeatable=repeatable)
        except exceptions.NoScriptError:
            return await self._call("EVAL", script.text, len(keys), *keys, *args, repeatable=repeatable)

    async def _call(self, *command: Any, repeatable: bool) -> Any:
        return await persist(lambda: self._attempt(command), repeatable=repeatable)

    async def _attempt(self, command: tuple[Any, ...]) -> Any:
        try:
            connection = await self._pool.get_connection()  # type: ignore[no-untyped-call]
        except (*_LOST, exceptions.ResponseError) as error:
            raise StoreUnavailable(f"Redis can't be reached: {error}") from None
        try:
            await connection.send_command(*command)
            return await connection.read_response()
        except exceptions.NoScriptError:
            raise
        except exceptions.ResponseError as error:
            raise translate(error) from None
        except _LOST as error:
            raise StoreUnavailable(f"Redis did not answer: {error}", outcome_unknown=True) from None
        finally:
            await self._pool.release(connection)

    async def _listening_connection(self) -> Connection:
        connection: Connection = self._pool.make_connection()  # type: ignore[no-untyped-call]
        await connection.connect()  # type: ignore[no-untyped-call]
        return connection


def translate(error: exceptions.ResponseError) -> StoreUnavailable:
    """A refusal in our terms. Redis refused before it wrote: the scripts write only after everything was read."""
    text = str(error)
    if text.startswith("WRONGTYPE") or "WRONGTYPE" in text or "GAPLESS" in text:
        return CorruptLog(f"something else is stored under our keys: {text}")
    return StoreUnavailable(f"Redis refused: {text}")


def describe(url: str) -> str:
    """Where the store is, without user or password."""
    parts = urlsplit(url)
    if parts.scheme == "unix":
        return f"Redis at {parts.path}"
    return f"Redis at {parts.scheme}://{parts.hostname or 'localhost'}:{parts.port or 6379}{parts.path}"
