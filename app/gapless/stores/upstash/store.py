"""The store on Upstash, over REST. Commands go through `rest.py`, notices come through `subscriptions.py`.

No document says whether Upstash accepts PUBLISH inside a script that locks only its keys. So the store tries the
cheapest mode first, and takes the next one at the first refusal.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, NamedTuple

from gapless.log.cursor import Position
from gapless.log.entries import HINT, Entry, format_notice
from gapless.log.errors import CannotSignal, StoreUnavailable
from gapless.log.publication import Accepted, Outcome, Publication, Repeated
from gapless.log.signals import Signal
from gapless.log.store import NOTICE_LIMIT, Listener, Subscription
from gapless.runtime.counters import StoreCounters
from gapless.stores import keyspace
from gapless.stores.attempts import Attempts
from gapless.stores.commands import CommandStore
from gapless.stores.replies import read_entries, read_outcome
from gapless.stores.scripts import Command, Keyed, Layout, Script, load, locking
from gapless.stores.traffic import Traffic
from gapless.stores.upstash.rest import FlagRefused, KeysRefused, Rest
from gapless.stores.upstash.subscriptions import Subscriptions


class ScriptMode(NamedTuple):
    """How `stores/lua/publish.lua` is run; each step down costs more.

    `locked`: it locks only its keys, so that channels do not wait for each other. `notifies`: it notifies; else a
    second request does, once the messages are in the log.
    """

    locked: bool
    notifies: bool

    def __str__(self) -> str:
        return ("locked" if self.locked else "plain") + ("" if self.notifies else ", told after")


class UpstashStore(CommandStore):
    """The port `Store` (`log/store.py`) at a REST `url`. Nothing is connected before the first call."""

    recheck = 240.0
    lag = 3.0

    def __init__(
        self,
        url: str,
        token: str,
        layout: Callable[[int], Layout],
        *,
        page: int,
        counters: StoreCounters | None = None,
    ) -> None:
        super().__init__(layout(0), page)
        traffic = Traffic(counters)
        self._rest = Rest(url, token, traffic)
        self.name = self._rest.name
        self._subscriptions = Subscriptions(
            self._rest.url, self._rest.token, self._layout.pattern, self._newest, traffic
        )
        self._mode = ScriptMode(locked=True, notifies=True)
        self._may_lock = True
        self._may_write = False

    def state(self) -> dict[str, str]:
        how = self._subscriptions.how
        return {"scripts": str(self._mode), "notices": how} | ({"signals": "none"} if how == "poll" else {})

    async def publish(self, publication: Publication) -> Outcome:
        """One EVALSHA, and a PUBLISH where scripts may not."""
        return await self._publish(publication, Attempts(publication))

    async def _publish(self, publication: Publication, attempts: Attempts) -> Outcome:
        mode = self._mode
        try:
            reply = await self._run(
                load("publish"),
                lambda: self._layout.publish(attempts.next(), notify=mode.notifies),
                locked=mode.locked,
                repeatable=publication.repeatable,
            )
        except KeysRefused:
            self._step_down(mode, locks=False)
            if not (mode.locked and publication.repeatable):
                raise
            return await self._publish(publication, attempts)
        except StoreUnavailable as error:
            if error.outcome_unknown:  # what may be in the log may be told, too
                self._subscriptions.expect(self._layout.topic(publication.channel).encode())
            raise
        self._may_write = True
        outcome, notified = read_outcome(attempts.sent, reply)
        if not notified and mode.notifies:
            self._step_down(mode, notifies=False)
        await self._tell(publication, outcome, notified)
        return outcome

    @property
    def tells_asides(self) -> bool:
        return self._subscriptions.how != "poll"

    async def signal(self, signal: Signal) -> int:
        """As over TCP, where SUBSCRIBE works."""
        if not self.tells_asides:
            raise CannotSignal(
                "Upstash refuses subscriptions at the moment, so channels are polled, which tells no signals; "
                "/readyz says when that ends."
            )
        return await super().signal(signal)

    async def subscribe(self, channel: str, listener: Listener) -> Subscription:
        """If SUBSCRIBE is refused, the channel is polled."""
        return await self._subscriptions.subscribe(self._layout.topic(channel), channel, listener)

    async def check(self) -> None:
        """PING is free; as long as nothing was written, one command more tells whether the token may."""
        await self._call("PING")
        if not self._may_write:
            await self._call("UNLINK", f"{self._layout.prefix}:nothing")
            self._may_write = True

    async def close(self) -> None:
        try:
            await self._subscriptions.close()
        finally:
            await self._rest.close()

    # --- scripts

    async def _run(self, script: Script, command: Command, *, repeatable: bool, locked: bool = True) -> Any:
        """The reply of a script, which locks only its keys if it shall and may. `command`: for each attempt."""
        if locked and self._may_lock:
            try:
                return await super()._run(locking(script), command, repeatable=repeatable)
            except FlagRefused:
                self._may_lock = False
                self._step_down(self._mode, locks=False)
        return await super()._run(script, command, repeatable=repeatable)

    async def _aside(self, name: str, command: Callable[[bool], Keyed], *, repeatable: bool = True) -> list[Any]:
        """In the mode in which messages are published; a mode that is refused is left as it is there."""
        mode = self._mode
        try:
            reply: list[Any] = await self._run(
                load(name), lambda: command(mode.notifies), locked=mode.locked, repeatable=repeatable
            )
        except KeysRefused:
            self._step_down(mode, locks=False)
            if not mode.locked:
                raise
            return await self._aside(name, command, repeatable=repeatable)
        return reply

    async def _attempt(self, *command: Any) -> Any:
        return await self._rest.attempt(*(part.decode() if isinstance(part, bytes) else part for part in command))

    async def _scan(self, cursor: str, pattern: str) -> tuple[list[str], str | None]:
        return keyspace.read_scan(await self._call("SCAN", cursor, "MATCH", pattern, "COUNT", keyspace.PAGE))

    def _step_down(self, tried: ScriptMode, *, locks: bool = True, notifies: bool = True) -> None:
        """Leave a way that was refused, unless another caller has left it meanwhile.

        A refused PUBLISH may be allowed where nothing is locked; only then is it sent after the script.
        """
        if tried != self._mode:
            return
        if not locks or (tried.locked and not notifies):
            self._mode = ScriptMode(locked=False, notifies=tried.notifies)
        else:
            self._mode = ScriptMode(locked=self._may_lock, notifies=False)

    # --- notices

    async def _tell(self, publication: Publication, outcome: Outcome, notified: bool) -> None:
        """Notify of what the script has not, or may not have. Where that fails, the readers' next read finds it."""
        topic = self._layout.topic(publication.channel)
        match outcome:
            case Accepted(entries) if not notified:
                await self._send(topic, format_notice(entries, NOTICE_LIMIT), entries[-1].position)
            case Repeated(ids) if not self._mode.notifies or publication.owns(ids):
                # An attempt that lost its reply has appended them, and perhaps not come as far as to tell.
                await self._send(topic, HINT + "{} {} {}".format(*ids[-1]).encode(), ids[-1])
            case Accepted(entries):
                self._subscriptions.expect(topic.encode(), entries[-1].position)

    async def _send(self, topic: str, notice: bytes, position: Position) -> None:
        try:
            await self._call("PUBLISH", topic, notice)
        except StoreUnavailable:
            return
        self._subscriptions.expect(topic.encode(), position)

    async def _newest(self, channel: str, count: int) -> list[Entry]:
        """What polling reads at each tick."""
        count = min(count, self.page)
        return read_entries(await self._attempt("LRANGE", self._layout.log(channel), -count, -1))


def fitting(page: int) -> int:
    """A page that fits Upstash's 10 MB when it is written as base64."""
    return max(1, page * 3 // 4 - 2)
