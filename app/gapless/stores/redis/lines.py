"""How commands reach a Redis. A line is a bounded pool to one server; `cluster.py` is made of several lines.

redis-py's own retries are off: it can't know which commands may be repeated.
"""

from __future__ import annotations

import asyncio
import copy
from collections.abc import Sequence
from typing import Any, Protocol

from redis import exceptions
from redis.asyncio import Connection, SSLConnection, UnixDomainSocketConnection
from redis.asyncio.retry import Retry
from redis.backoff import NoBackoff

from gapless.log.errors import StoreUnavailable
from gapless.runtime.within import within
from gapless.stores import keyspace
from gapless.stores.redis import pool as redis_pool
from gapless.stores.redis.packing import pack_all
from gapless.stores.redis.pool import LOST, Pool
from gapless.stores.redis.together import Together
from gapless.stores.redis.url import Place
from gapless.stores.refusals import Full, code_of, leads_elsewhere, read_refusal, said
from gapless.stores.topic import CLOSED
from gapless.stores.traffic import Traffic

CONNECT_TIMEOUT = 2.0
REPLY_TIMEOUT = 3.0
POOL = 32
"""Connections of one process to one server, unless REDIS_URL says `max_connections`; pub/sub has one more."""


class Unsent(exceptions.ConnectionError):
    """The connection was closed a moment ago, so that nothing was sent."""


class Unreachable(StoreUnavailable):
    """There is no connection; nothing was sent."""


async def send(connection: Any, *command: Any, **how: Any) -> None:
    """`send_command`; raises Unsent where it was closed, which uvloop and redis-py tell in errors of their own."""
    if not connection.is_connected:  # redis-py would open it again, beside a task that still reads from it
        raise Unsent("closed")
    try:
        await connection.send_command(*command, **how)
    except (RuntimeError, AttributeError) as error:
        raise Unsent(str(error)) from None


async def send_all(connection: Any, commands: Sequence[tuple[Any, ...]]) -> None:
    """`send` for several: one write. redis-py's own way takes a task for each, for its time limit."""
    if not connection.is_connected or connection._writer.is_closing():
        raise Unsent("closed")
    try:
        await within(REPLY_TIMEOUT, connection._send_packed_command(pack_all(connection, commands)))
    except (RuntimeError, AttributeError) as error:
        raise Unsent(str(error)) from None
    except BaseException:
        await connection.disconnect(nowait=True)
        raise


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


class Standalone:
    """One server. `alone`: see `Pool`."""

    def __init__(self, place: Place, *, alone: bool = False, traffic: Traffic | None = None) -> None:
        self._traffic = traffic or Traffic()
        self._connection, self._options = _recipe(place)
        self._pool = Pool(self._make, place.most or POOL, REPLY_TIMEOUT, alone=alone)
        self._together = Together(self._reach, self._exchange)
        self._tls: Any = None
        self._closed = False

    def _make(self) -> Any:
        connection = self._connection(**self._options)
        if self._connection is SSLConnection:  # one for all: each reads the system's certificates, which takes long
            self._tls = connection.ssl_context = self._tls or connection.ssl_context
        return connection

    async def call(self, command: tuple[Any, ...], *, asking: bool = False) -> Any:
        """What can't be sent was not sent; what was sent and not answered has an unknown outcome.

        `asking`: says ASKING first, to a cluster's node that is about to take over the key.
        """
        try:
            return await self._ask(command, asking)
        except Full:  # said to the first command on a new connection, before it was read
            self._pool.full()
            return await self._ask(command, asking)

    async def _ask(self, command: tuple[Any, ...], asking: bool) -> Any:
        if not asking:
            return await self._together.ask(command)
        _, reply = await self._exchange(await self._reach(), [("ASKING",), command])
        if isinstance(reply, Exception):
            raise reply
        return reply

    async def _exchange(self, connection: Any, commands: Sequence[tuple[Any, ...]]) -> list[Any]:
        """The reply to each, or the error that it was. Gives the connection back."""
        replies: list[Any] = []
        try:
            await send_all(connection, commands)
            self._traffic.sent(*commands)
            while len(replies) < len(commands):
                replies += await self._next_replies(connection, len(commands) - len(replies))
            self._traffic.received(replies)
            return replies
        except Unsent as error:
            raise StoreUnavailable(f"Redis can't be reached: {error}") from None
        except (*LOST, exceptions.InvalidResponse) as error:  # of the PING before them, where it is an answer
            raise self._refusal(connection, error) or _unknown(error) from None
        except BaseException:  # what is still to come answers nobody
            await connection.disconnect(nowait=True)
            raise
        finally:
            await self._pool.give(connection)

    async def _next_replies(self, connection: Any, left: int) -> list[Any]:
        """The next one of so many; all of them where no more will come."""
        try:
            return [await connection.read_response(disconnect_on_error=False)]
        except exceptions.ResponseError as error:
            self._renew(error)
            return [error]
        except (*LOST, exceptions.InvalidResponse) as error:
            if (refusal := self._refusal(connection, error)) is not None:
                return [copy.copy(refusal) for _ in range(left if isinstance(refusal, Full) else 1)]
            await connection.disconnect(nowait=True)
            return [_unknown(error) for _ in range(left)]

    def _refusal(self, connection: Any, error: Exception) -> StoreUnavailable | None:
        """What the server has answered, where this is an answer, upon which redis-py would hang up."""
        if not code_of(error):
            return None
        self._renew(error)
        self._pool.drop(connection)
        return read_refusal(said(error))

    async def _reach(self) -> Any:
        """A connection that answers. Nothing was sent where there is none."""
        try:
            return await self._answering()
        except (*LOST, exceptions.ResponseError) as error:
            if isinstance(error, exceptions.ResponseError) or code_of(error):
                raise read_refusal(said(error)) from None
            raise Unreachable(f"Redis can't be reached: {error}") from None
        except exceptions.InvalidResponse as error:
            raise StoreUnavailable(_nonsense(error)) from None

    async def _answering(self) -> Any:
        """A connection of the pool that answers; raises what redis-py does. None is opened after the end."""
        self._require_open()
        await asyncio.sleep(0)  # after a freeze the loop has yet to hear what became of its sockets
        connection = await self._pool.take()
        try:
            self._require_open()
        except BaseException:
            await self._pool.give(connection)
            raise
        return connection

    def _renew(self, error: Exception) -> None:
        if leads_elsewhere(said(error)):
            self._pool.renew()

    async def scan(self, cursor: str, pattern: str) -> tuple[list[str], str | None]:
        return keyspace.read_scan(await self.call(("SCAN", cursor, "MATCH", pattern, "COUNT", keyspace.PAGE)))

    async def is_cluster(self) -> bool:
        """True where this server is a node of a cluster."""
        try:
            info = await self.call(("INFO", "cluster"))
        except exceptions.ResponseError:  # not allowed to ask: then nobody has set up a cluster for us
            return False
        return b"cluster_enabled:1" in info

    async def listen(self) -> Connection:
        self._require_open()
        connection: Connection = self._make()
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
        self._closed = True
        await self._pool.close()


def _unknown(error: Exception) -> StoreUnavailable:
    what = _nonsense(error) if isinstance(error, exceptions.InvalidResponse) else f"Redis did not answer: {error}"
    return StoreUnavailable(what, outcome_unknown=True)


def _nonsense(error: Exception) -> str:
    return f"what answers at REDIS_URL can't be understood; is it Redis? {error!s:.100}"


def _recipe(place: Place) -> tuple[type[Any], dict[str, Any]]:
    """How a connection is made."""
    options: dict[str, Any] = {
        "db": place.database,
        "username": place.username,
        "password": place.password,
        "socket_timeout": REPLY_TIMEOUT,
        "socket_connect_timeout": CONNECT_TIMEOUT,
        "retry": Retry(NoBackoff(), 0),
        "protocol": 2,
        "driver_info": None,
        "health_check_interval": redis_pool.IDLE_CHECK_AFTER,
        **dict(place.options),
    }
    if place.path is not None:
        return UnixDomainSocketConnection, options | {"path": place.path}
    options |= {"host": place.host, "port": place.port, "socket_keepalive": True}
    return SSLConnection if place.tls else Connection, options
