"""Redis or Valkey over TCP or a unix socket, one server or a cluster, through redis-py. It reconnects by itself.

Commands go over a line (`lines.py`). All channels of a process share one pub/sub connection (`pubsub.py`).
"""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import Awaitable, Callable
from typing import Any, TypeVar

from redis import exceptions
from redis.asyncio import Connection

from gapless.log.errors import StoreUnavailable
from gapless.log.publication import Outcome, Publication
from gapless.log.store import Listener, Subscription
from gapless.runtime.counters import StoreCounters
from gapless.runtime.tasks import end
from gapless.stores.attempts import Attempts, persist
from gapless.stores.commands import CommandStore
from gapless.stores.redis.check import check_all, check_writing
from gapless.stores.redis.cluster import Cluster
from gapless.stores.redis.lines import Line, Standalone
from gapless.stores.redis.pubsub import Subscriptions
from gapless.stores.redis.url import read_url
from gapless.stores.refusals import Elsewhere, read_refusal, said
from gapless.stores.replies import read_outcome
from gapless.stores.scripts import Layout, NoScript, load
from gapless.stores.topic import CLOSED
from gapless.stores.traffic import Traffic

T = TypeVar("T")


class RedisStore(CommandStore):
    """The port `Store` (`log/store.py`) at `url` (`url.py`). Connects at the first call; raises StartupRefused.

    `alone`: the process is frozen after each request (`Policy.alone`), so nothing may be left behind.
    """

    recheck = 15.0
    lag = 0.0

    def __init__(
        self,
        url: str,
        layout: Callable[[int], Layout],
        *,
        page: int,
        alone: bool = False,
        counters: StoreCounters | None = None,
    ) -> None:
        self._place = read_url(url)
        self._traffic = Traffic(counters)
        super().__init__(layout(self._place.database), page)
        self.name = self._place.name
        self._alone = alone
        self._standalone = Standalone(self._place, alone=alone, traffic=self._traffic)
        self._line: Line | None = None
        self._finding: asyncio.Task[Line] | None = None
        self._subscriptions = Subscriptions(self._listen, self._traffic)
        self._moves = self._checked = False
        self._lacks = ""

    def state(self) -> dict[str, str]:
        return {"scripts": "plain", "notices": "subscribe"} | ({"missing": self._lacks} if self._lacks else {})

    async def publish(self, publication: Publication) -> Outcome:
        """One EVALSHA; sent again after a lost reply only where every message has an idempotency key."""
        attempts = Attempts(publication)
        reply = await self._run(
            load("publish"), lambda: self._layout.publish(attempts.next()), repeatable=publication.repeatable
        )
        if self._moves:  # it can be written to again: what the subscription is connected to may be another server
            self._moves = False
            self._subscriptions.renew()
        return read_outcome(attempts.sent, reply)[0]

    async def subscribe(self, channel: str, listener: Listener) -> Subscription:
        return await self._subscriptions.subscribe(self._layout.topic(channel), channel, listener)

    async def check(self) -> None:
        """One SET; before that, once, all that we need, and a subscription for a moment."""
        line = self._line or await self._find_line()
        try:
            if self._checked:
                await check_writing(self._call, self._layout)
            else:
                self._lacks = await check_all(self._call, line, self._layout)
            self._checked = True
        except StoreUnavailable:
            self._checked = False
            raise

    async def close(self) -> None:
        async with contextlib.AsyncExitStack() as closing:  # each is closed, whatever the others raise; the last first
            closing.push_async_callback(self._standalone.close)
            closing.push_async_callback(self._close_line)
            closing.push_async_callback(self._subscriptions.close)

    async def _close_line(self) -> None:
        if (finding := self._finding) is not None:
            with contextlib.suppress(StoreUnavailable):
                await end(finding)
            self._found(finding)  # it may have ended a moment ago: a waiting task has the line before we do
        if self._line is not None and self._line is not self._standalone:
            await self._line.close()

    async def _scan(self, cursor: str, pattern: str) -> tuple[list[str], str | None]:
        line = self._line or await self._find_line()
        return await persist(lambda: self._understood(line.scan(cursor, pattern)), repeatable=True)

    async def _attempt(self, *command: Any) -> Any:
        return await self._understood((self._line or await self._find_line()).call(command))

    async def _understood(self, asked: Awaitable[T]) -> T:
        """The reply; a refusal in our terms."""
        try:
            return await asked
        except exceptions.NoScriptError as error:
            raise NoScript(str(error)) from None
        except exceptions.ResponseError as error:
            refusal = read_refusal(said(error))
        except Elsewhere as error:
            refusal = error
        if isinstance(refusal, Elsewhere):
            self._look_again()
        raise refusal from None

    def _look_again(self) -> None:
        """The server can't serve: what is at its address by now, and whether that is a cluster, is to be found out."""
        self._moves = True
        if self._line is self._standalone:
            self._line = None

    async def _listen(self) -> Connection:
        return await (self._line or await self._find_line()).listen()

    async def _find_line(self) -> Line:
        """Ask the server what it is, once for all who want to know. Where it does not answer, nothing was sent."""
        if self._finding is None:
            self._finding = asyncio.create_task(self._ask())
            self._finding.add_done_callback(self._found)
        finding = self._finding
        await asyncio.wait([finding])
        if finding.cancelled():
            raise StoreUnavailable(CLOSED)
        if isinstance(error := finding.exception(), StoreUnavailable):
            raise type(error)(error.detail)  # one of its own for each who waits
        return finding.result()

    async def _ask(self) -> Line:
        cluster = self._place.path is None and await self._standalone.is_cluster()
        return Cluster(self._place, alone=self._alone, traffic=self._traffic) if cluster else self._standalone

    def _found(self, finding: asyncio.Task[Line]) -> None:
        self._finding = None
        if not finding.cancelled() and finding.exception() is None:
            self._line = finding.result()
