"""How commands get to a Redis: to one server through a bounded pool; `redis_cluster.py` is made of several of these.

redis-py's own retries are off: it can't know what may be repeated.
"""

from __future__ import annotations

import asyncio
from typing import Any, Protocol

from redis import exceptions
from redis.asyncio import BlockingConnectionPool, Connection
from redis.asyncio.retry import Retry
from redis.backoff import NoBackoff

from app.errors import StartupRefused, StoreUnavailable
from app.stores.keyspace import PAGE, read_scan
from app.stores.topic import CLOSED

CONNECT_TIMEOUT = 2.0
REPLY_TIMEOUT = 3.0
POOL = 32
"""Connections of one process to one server."""
RESTED = 5.0
"""Seconds of rest after which a connection must answer a PING before it is used: a process that was frozen, or a route
that is gone, says nothing of a peer that has closed, and what is sent to it might have been written."""

LOST = (exceptions.ConnectionError, exceptions.TimeoutError, OSError)


class Unsent(exceptions.ConnectionError):
    """The connection was closed a moment ago, so that nothing was sent."""


async def send(connection: Any, *command: Any, **how: Any) -> None:
    """`send_command`; raises Unsent where it was closed, which uvloop and redis-py tell in errors of their own."""
    if not connection.is_connected:  # redis-py would open it again, beside whoever still reads from it
        raise Unsent("closed")
    try:
        await connection.send_command(*command, **how)
    except (RuntimeError, AttributeError) as error:
        raise Unsent(str(error)) from None


class Line(Protocol):
    """How commands get to the server. Both raise StoreUnavailable; `call` lets redis-py's ResponseError through."""

    async def call(self, command: tuple[Any, ...]) -> Any:
        """Send one command and return its reply."""

    async def scan(self, cursor: str, pattern: str) -> tuple[list[str], str | None]:
        """A page of the keys that match, on whatever servers there are."""

    async def listen(self) -> Connection:
        """A connection of its own, for pub/sub."""

    async def close(self) -> None:
        """Close every connection."""


class Single:
    """One server."""

    def __init__(self, url: str) -> None:
        try:
            self._pool = BlockingConnectionPool.from_url(
                url, max_connections=POOL, timeout=REPLY_TIMEOUT, **_options(url)
            )
        except ValueError:  # its words may quote a password
            raise StartupRefused("REDIS_URL can't be read. It looks like redis://user:password@host:6379/0.") from None
        self._closed = False

    @property
    def database(self) -> int:
        """The database that the URL names."""
        return int(self._pool.connection_kwargs.get("db") or 0)

    async def call(self, command: tuple[Any, ...], *, asking: bool = False) -> Any:
        """See Line. What can't be sent was not sent; what was sent and not answered has an unknown outcome.

        `asking`: says ASKING first, to a cluster's node that is about to take over the key.
        """
        try:
            connection = await self._answering()
        except (*LOST, exceptions.ResponseError) as error:
            raise StoreUnavailable(f"Redis can't be reached: {error}") from None
        try:
            if asking:
                await send(connection, "ASKING")
                await connection.read_response()
            await send(connection, *command)
            return await connection.read_response()
        except Unsent as error:
            raise StoreUnavailable(f"Redis can't be reached: {error}") from None
        except exceptions.BusyLoadingError as error:
            raise StoreUnavailable(f"Redis is still loading its data: {error}") from None
        except LOST as error:
            raise StoreUnavailable(f"Redis did not answer: {error}", outcome_unknown=True) from None
        finally:
            await self._pool.release(connection)

    async def _answering(self) -> Any:
        """A connection of the pool that answers; raises what redis-py does. None is opened after the end."""
        self._require_open()
        await asyncio.sleep(0)  # after a freeze the loop has yet to hear what became of its sockets
        connection: Any = await self._pool.get_connection()  # type: ignore[no-untyped-call]
        try:
            try:
                if connection._writer.is_closing():  # reset by the peer: redis-py's own look finds only an orderly end
                    raise exceptions.ConnectionError("reset")
                await connection.check_health()
            except (*LOST, RuntimeError):  # uvloop, see `send`
                await connection.disconnect()
                await connection.connect()
            self._require_open()
        except BaseException:
            if self._closed:  # the pool has closed what it had
                await connection.disconnect(nowait=True)
            await self._pool.release(connection)
            raise
        return connection

    async def scan(self, cursor: str, pattern: str) -> tuple[list[str], str | None]:
        """See Line."""
        return read_scan(await self.call(("SCAN", cursor, "MATCH", pattern, "COUNT", PAGE)))

    async def is_cluster(self) -> bool:
        """True where this server is a node of a cluster."""
        try:
            info = await self.call(("INFO", "cluster"))
        except exceptions.ResponseError:  # not allowed to ask: then nobody has set up a cluster for us
            return False
        return b"cluster_enabled:1" in info

    async def listen(self) -> Connection:
        """See Line."""
        self._require_open()
        connection: Connection = self._pool.make_connection()  # type: ignore[no-untyped-call]
        connection.health_check_interval = 0  # a reply would come among the notices
        try:
            await connection.connect()  # type: ignore[no-untyped-call]
            self._require_open()
        except BaseException:  # half way through a greeting it is open already
            await connection.disconnect(nowait=True)
            raise
        return connection

    def _require_open(self) -> None:
        if self._closed:
            raise exceptions.ConnectionError(CLOSED)

    async def close(self) -> None:
        """See Line."""
        self._closed = True
        await self._pool.aclose()


def _options(url: str) -> dict[str, Any]:
    options: dict[str, Any] = {} if url.startswith("unix:") else {"socket_keepalive": True}
    return options | {
        "socket_timeout": REPLY_TIMEOUT,
        "socket_connect_timeout": CONNECT_TIMEOUT,
        "retry": Retry(NoBackoff(), 0),
        "protocol": 2,
        "driver_info": None,
        "health_check_interval": RESTED,
    }
