"""From commands to replies: refusals, scripts, counts, sync tokens, and which server answers."""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass
from typing import TYPE_CHECKING

from tests.testkit.upstash.faults import Armed, Faults, Seen
from tests.testkit.upstash.replies import ErrorReply, Reply
from tests.testkit.upstash.request import Argv, Asked, command_name
from tests.testkit.upstash.scripts import ScriptRefused

if TYPE_CHECKING:
    from tests.testkit.upstash.catalog import Catalog
    from tests.testkit.upstash.database import Database, Ran
    from tests.testkit.upstash.replica import Replica
    from tests.testkit.upstash.scripts import Scripts


@dataclass(frozen=True)
class Answer:
    """A reply for each command; or none, and why the transaction was discarded."""

    replies: list[Reply]
    discarded: ErrorReply | None
    sync_token: str


@dataclass
class Reached:
    """The state that a request's commands have seen, for its sync token."""

    token: str


@dataclass
class Engine:
    """Runs what was asked, as Upstash would. `counts` is the bill, by command in upper case."""

    primary: Database
    catalog: Catalog
    scripts: Scripts
    faults: Faults
    replica: Replica | None
    counts: Counter[str]
    _writes: int = 0

    async def answer(self, asked: Asked, seen: Seen, *, read_only: bool) -> Answer:
        """Run all of it. Redis's ConnectionError where the server is gone."""
        refusals = [self.catalog.refusal(argv, read_only=read_only) for argv in asked.commands]
        # Where nothing runs, the client keeps the token it has.
        reached = Reached(asked.sync_token)
        if asked.shape == "multi-exec":
            replies, discarded = await self._transaction(asked, refusals, reached)
            return Answer(replies, discarded, reached.token)
        lag = self._lag(asked, seen)
        # Upstash REST docs, "Pipelining": in order, not atomic; others' commands may come between.
        replies = [
            refusal or await self._one(argv, asked.sync_token, lag, reached)
            for argv, refusal in zip(asked.commands, refusals, strict=True)
        ]
        return Answer(replies, None, reached.token)

    async def _transaction(
        self, asked: Asked, refusals: list[ErrorReply | None], reached: Reached
    ) -> tuple[list[Reply], ErrorReply | None]:
        # Upstash REST docs, "Transactions": discarded as a whole if one of the commands is unsupported or
        # wrong in its syntax; one that fails as it runs does not stop the others.
        if refusal := next(filter(None, refusals), None):
            return [], refusal
        try:
            ready = [self.scripts.rewrite(argv) for argv in asked.commands]
        except ScriptRefused as refused:
            return [], refused.error
        ran = await self._on_primary(ready, reached)
        if ran.discarded is not None:
            return [], ran.discarded
        return list(map(self.scripts.reply, asked.commands, ran.replies)), None

    async def _one(self, argv: Argv, sync_token: str, lag: Armed | None, reached: Reached) -> Reply:
        try:
            ran = await self._on_replica(argv, sync_token, lag, reached) if lag else None
            ran = ran or await self._on_primary([self.scripts.rewrite(argv)], reached)
        except ScriptRefused as refused:
            return refused.error
        return ran.discarded or self.scripts.reply(argv, ran.replies[0])

    async def _on_primary(self, commands: list[Argv], reached: Reached) -> Ran:
        ran = await self.primary.run(commands)
        self.counts.update(ran.billed)
        self._writes += not all(self.catalog.reads(argv) for argv in commands)
        self._reach(ran, reached)
        return ran

    async def _on_replica(self, argv: Argv, sync_token: str, lag: Armed, reached: Reached) -> Ran | None:
        """The replica's answer; None where the sync token says that it has not yet seen enough."""
        assert self.replica is not None
        by_text = self.scripts.by_text(argv)
        ran = await self.replica.database.run([self.scripts.rewrite(by_text)], replica=True)
        # Upstash REST docs, "Read Your Writes": the token "ensures the read replica syncs up to that token
        # before serving the read". Here the primary serves it at once, which promises the same.
        if ran.discarded or ran.offset < _offset(sync_token, ran.replid):
            return None
        if ran.offset < (await self.primary.state())[1]:
            self.faults.hit(lag)
        self.counts.update(_renamed(ran.billed, command_name(by_text), command_name(argv)))
        self._reach(ran, reached)
        return ran

    def _lag(self, asked: Asked, seen: Seen) -> Armed | None:
        reads = all(self.catalog.reads(argv) for argv in asked.commands)
        return self.faults.turn("lag", seen) if reads else None

    def _reach(self, ran: Ran, reached: Reached) -> None:
        # Opaque to clients, and the state that answered: a client that always echoes the last one it saw
        # never goes back. Where nothing replicates, offsets stand still; the count of writes does not.
        if ran.discarded is None:
            reached.token = f"{ran.replid[:8]}-{ran.offset}-{self._writes}"


def _offset(sync_token: str, replid: str) -> int:
    """The offset a token asks for; 0 for none, or for another history's."""
    history, _, rest = sync_token.partition("-")
    offset = rest.partition("-")[0]
    return int(offset) if history == replid[:8] and offset.isdecimal() else 0


def _renamed(billed: Counter[str], ran: str, asked: str) -> Counter[str]:
    return billed if ran == asked else billed - Counter({ran: 1}) + Counter({asked: 1})
