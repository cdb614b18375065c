"""The real Valkey behind the emulator: commands in, raw replies and exact counts out."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Self

from redis.asyncio.connection import AbstractConnection, ConnectionPool
from redis.exceptions import ResponseError

from tests.testkit.upstash.counts import billed
from tests.testkit.upstash.replies import ErrorReply, Reply

if TYPE_CHECKING:
    from collections import Counter
    from collections.abc import Sequence

    from tests.testkit.upstash.request import Argv

_STATS: Argv = (b"INFO", b"commandstats")
_REPLICATION: Argv = (b"INFO", b"replication")


@dataclass(frozen=True)
class Ran:
    """What became of some commands run as one: a reply each, or, if the server discarded them, why."""

    replies: list[Reply]
    discarded: ErrorReply | None
    billed: Counter[str]
    replid: str
    offset: int
    """Where replication stood: on a primary just after the commands, on a replica at their moment."""


class Database:
    """One Valkey server over TCP or a unix socket. RESP2, as Upstash's JSON has no other types."""

    def __init__(self, url: str) -> None:
        self.url = url if "://" in url else f"unix://{url}"
        # Nothing may time out or retry by itself here: what is slow or broken is a fault that a test chose.
        self._pool: Any = ConnectionPool.from_url(self.url, protocol=2, socket_timeout=None, driver_info=None)

    async def __aenter__(self) -> Self:
        await self.one(b"PING")
        return self

    async def __aexit__(self, *_: object) -> None:
        await self._pool.disconnect(inuse_connections=True)

    async def one(self, *argv: bytes) -> Reply:
        """Run the emulator's own command: not billed."""
        return (await self._send([argv]))[0]

    async def state(self) -> tuple[str, int]:
        """(replication id, offset) now."""
        return replication(await self.one(*_REPLICATION))

    async def run(self, commands: Sequence[Argv], *, replica: bool = False) -> Ran:
        """Run `commands` atomically, with two looks at the server's own counters around them."""
        inner = [_STATS, *commands, _STATS]
        # A primary moves its offset when EXEC has run, a replica says at which offset it answered.
        inner, after = ([_REPLICATION, *inner], []) if replica else (inner, [_REPLICATION])
        replies = await self._send([(b"MULTI",), *inner, (b"EXEC",), *after])
        queued, executed = replies[1 : 1 + len(inner)], replies[1 + len(inner)]
        if isinstance(executed, ErrorReply):
            return _discarded(queued, executed)
        assert isinstance(executed, list)
        state = executed.pop(0) if replica else replies[-1]
        replid, offset = replication(state)
        return Ran(executed[1:-1], None, billed(executed[0], executed[-1]), replid, offset)

    async def subscribe(self, argv: Argv) -> AbstractConnection:
        """A connection of its own that has sent SUBSCRIBE or PSUBSCRIBE. Read it with `next_push`, and
        disconnect it. Redis's ConnectionError where the server is gone.
        """
        connection: Any = self._pool.make_connection()
        await connection.connect()
        await connection.send_command(*argv)
        made: AbstractConnection = connection
        return made

    async def _send(self, commands: Sequence[Argv]) -> list[Reply]:
        connection = await self._pool.get_connection()
        try:
            await connection.send_packed_command(connection.pack_commands(commands))
            return [await _read(connection) for _ in commands]
        except BaseException:
            # Replies that nobody read would be taken for those of the next command.
            await connection.disconnect(nowait=True)
            raise
        finally:
            await self._pool.release(connection)


async def next_push(connection: AbstractConnection) -> list[bytes]:
    """The next message of a subscribed connection: kind, names, payload or count."""
    push = await connection.read_response(disable_decoding=True, timeout=math.inf)
    return [part if isinstance(part, bytes) else str(part).encode() for part in push]


def replication(info: Reply) -> tuple[str, int]:
    """(replication id, offset) from `INFO replication` of a primary or a replica."""
    assert isinstance(info, bytes)
    fields = dict(line.split(":", 1) for line in info.decode().splitlines() if ":" in line)
    offset = fields.get("slave_repl_offset", fields["master_repl_offset"])
    return fields["master_replid"], int(offset)


def _discarded(queued: list[Reply], executed: ErrorReply) -> Ran:
    # Upstash REST docs, "Transactions": a discarded one is a single error; the cause says more than EXECABORT.
    cause = next((reply for reply in queued if isinstance(reply, ErrorReply)), executed)
    return Ran([], cause, billed(b"", b""), "", 0)


async def _read(connection: AbstractConnection) -> Reply:
    try:
        return _reply(await connection.read_response(disable_decoding=True))
    except ResponseError as error:
        return _error(error)


def _reply(value: Any) -> Reply:
    if isinstance(value, list):
        return [_reply(item) for item in value]
    return _error(value) if isinstance(value, ResponseError) else value


def _error(error: ResponseError) -> ErrorReply:
    # redis-py takes a code it knows off the text and keeps it aside.
    return ErrorReply(f"{error.status_code} {error}" if error.status_code else str(error))
