"""Which commands REST offers, which of them read, which the read-only token may run."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Final, Self

from tests.testkit.upstash import replies
from tests.testkit.upstash.request import command_name

if TYPE_CHECKING:
    from tests.testkit.upstash.database import Database
    from tests.testkit.upstash.replies import ErrorReply, Reply
    from tests.testkit.upstash.request import Argv


def _names(reply: Reply) -> frozenset[str]:
    assert isinstance(reply, list)
    return frozenset(name.decode().upper() for name in reply)


def _words(text: str) -> frozenset[str]:
    return frozenset(text.split())


# Upstash REST docs, "REST - Redis API Compatibility": transactions without WATCH, UNWATCH and DISCARD;
# "Connection: only PING and ECHO are supported"; subscriptions and MONITOR have paths of their own.
_CONNECTION_BOUND: Final = _words(
    """AUTH CLIENT HELLO QUIT RESET SELECT MULTI EXEC DISCARD WATCH UNWATCH MONITOR
    SUBSCRIBE UNSUBSCRIBE PSUBSCRIBE PUNSUBSCRIBE SSUBSCRIBE SUNSUBSCRIBE"""
)
# Not in that table, or the service's own business. CONFIG is there, but nothing here may lean on it.
_ADMINISTRATIVE: Final = _words(
    """ACL ASKING BGREWRITEAOF BGSAVE CLUSTER COMMANDLOG CONFIG DEBUG FAILOVER LASTSAVE LATENCY LOLWUT
    MIGRATE MODULE PFDEBUG PFSELFTEST PSYNC READONLY READWRITE REPLCONF REPLICAOF RESTORE-ASKING ROLE SAVE
    SHUTDOWN SLAVEOF SLOWLOG SWAPDB SYNC"""
)
# Blocking only with their BLOCK option: "supported, except blocking versions of XREAD and XREADGROUP".
_MAY_BLOCK: Final = frozenset({"XREAD", "XREADGROUP"})
# "Some powerful read commands (e.g. SCAN, KEYS) are also restricted with read only token."
_POWERFUL_READS: Final = frozenset({"SCAN", "KEYS"})
# "Declaring the read-only intent lets the server serve the call on replicas" (EVAL_RO in the docs).
_READ_ONLY_SCRIPTS: Final = frozenset({"EVAL_RO", "EVALSHA_RO", "FCALL_RO"})
_HARMLESS: Final = frozenset({"PING", "ECHO"})


@dataclass(frozen=True)
class Catalog:
    """The server's own command table, seen through Upstash's rules."""

    known: frozenset[str]
    blocking: frozenset[str]
    reading: frozenset[str]

    @classmethod
    async def read(cls, server: Database) -> Self:
        """Ask the server itself. Not by COMMAND, whose reply takes Python a tenth of a second to parse."""
        return cls(
            known=_names(await server.one(b"COMMAND", b"LIST")),
            blocking=_names(await server.one(b"ACL", b"CAT", b"blocking")),
            reading=_names(await server.one(b"ACL", b"CAT", b"read")),
        )

    def refusal(self, argv: Argv, *, read_only: bool) -> ErrorReply | None:
        """Why this command is not run, or None where it is."""
        name = command_name(argv)
        if name in _CONNECTION_BOUND:
            return replies.not_over_rest(name)
        if name not in self.known or name in _ADMINISTRATIVE or self._blocks(name, argv):
            return replies.not_available(name)
        if read_only and not self._permitted(name):
            return replies.no_permission(name)
        return None

    def reads(self, argv: Argv) -> bool:
        """May a replica answer this?"""
        name = command_name(argv)
        return name in self.reading or name in _READ_ONLY_SCRIPTS

    def _permitted(self, name: str) -> bool:
        return name in _HARMLESS or (name in self.reading and name not in _POWERFUL_READS)

    def _blocks(self, name: str, argv: Argv) -> bool:
        if name in _MAY_BLOCK:
            return any(argument.upper() == b"BLOCK" for argument in argv[1:])
        return name in self.blocking
