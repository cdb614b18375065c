"""The store on Upstash, over REST. Commands go through `rest.py`, notices come through `subscriptions.py`.

No document says whether Upstash accepts PUBLISH inside a script that locks only its keys. So the store tries the
cheapest mode first, and takes the next one at the first refusal.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any, NamedTuple

from gapless.log.cursor import Position
from gapless.log.entries import HINT, Entry, format_notice
from gapless.log.errors import StoreUnavailable
from gapless.log.publication import Accepted, Outcome, Publication, Repeated
from gapless.log.store import MOST_BYTES, NOTICE_LIMIT, ChannelInfo, Listener, Slice, Subscription
from gapless.stores import keyspace
from gapless.stores.attempts import Attempts, persist
from gapless.stores.scripts import Command, Layout, Script, load, locking, read_entries, read_outcome, read_slice
from gapless.stores.upstash.rest import FlagRefused, KeysRefused, NoScript, Rest
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


class UpstashStore:
    """The port `Store` (`log/store.py`) at a REST `url`. Nothing is connected before the first call."""

    recheck = 240.0
    lag = 3.0

    def __init__(self, url: str, token: str, layout: Callable[[int], Layout], *, page: int) -> None:
        self._rest = Rest(url, token)
        self.name = self._rest.name
        self.page = page
        self._layout = layout(0)
        self._subscriptions = Subscriptions(self._rest.url, self._rest.token, self._layout.pattern, self._newest)
        self._mode = ScriptMode(locked=True, notifies=True)
        self._may_lock = True
        self._may_write = False

    def state(self) -> dict[str, str]:
        return {"scripts": str(self._mode), "notices": self._subscriptions.how}

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
                self._subscriptions.expect(self._layout.topic(publication.channel))
            raise
        self._may_write = True
        outcome, notified = read_outcome(attempts.sent, reply)
        if not notified and mode.notifies:
            self._step_down(mode, notifies=False)
        await self._tell(publication, outcome, notified)
        return outcome

    async def tail(self, channel: str, count: int, most: int | None = None) -> list[Entry]:
        """One LRANGE; with `most`, one EVALSHA around it."""
        if count < 1:  # to LRANGE, 0 is the beginning
            return []
        if most is not None:
            asked = self._layout.newest(channel, count, most, self.page)
            return read_entries(await self._run(load("newest"), lambda: asked, locked=True, repeatable=True))
        count = min(count, self.page)
        return read_entries(await self._rest.call("LRANGE", self._layout.log(channel), -count, -1))

    async def slice(
        self,
        channel: str,
        first: int,
        last: int,
        *,
        most: int = MOST_BYTES,
        back: bool = False,
        beside: Position | None = None,
    ) -> Slice:
        """One EVALSHA around LINDEX, LINDEX, LRANGE, and LRANGE again where little was found."""
        asked = self._layout.slice(channel, first, last, most, self.page, back, beside)
        return read_slice(
            await self._run(load("slice"), lambda: asked, locked=True, repeatable=True), first, last, back
        )

    async def subscribe(self, channel: str, listener: Listener) -> Subscription:
        """If SUBSCRIBE is refused, the channel is polled."""
        return await self._subscriptions.subscribe(self._layout.topic(channel), channel, listener)

    async def forget(self, channel: str) -> None:
        await keyspace.forget(self._rest.call, self._layout, channel)

    async def channels(self, cursor: str) -> tuple[list[ChannelInfo], str | None]:
        return await keyspace.channels(self._rest.call, self._scan, self._layout, cursor)

    async def ping(self) -> None:
        """PING is free."""
        await self._rest.call("PING")

    async def check(self) -> None:
        """PING is free; as long as nothing was written, one command more tells whether the token may."""
        await self._rest.call("PING")
        if not self._may_write:
            await self._rest.call("UNLINK", f"{self._layout.prefix}:nothing")
            self._may_write = True

    async def close(self) -> None:
        try:
            await self._subscriptions.close()
        finally:
            await self._rest.close()

    # --- scripts

    async def _run(self, script: Script, command: Command, *, locked: bool, repeatable: bool) -> Any:
        """The reply of a script, which locks only its keys if it shall and may. `command`: for each attempt."""
        if locked and self._may_lock:
            chosen = locking(script)
            try:
                return await persist(lambda: self._evaluate(chosen, *command()), repeatable=repeatable)
            except FlagRefused:
                self._may_lock = False
                self._step_down(self._mode, locks=False)
        return await persist(lambda: self._evaluate(script, *command()), repeatable=repeatable)

    async def _evaluate(self, script: Script, keys: Sequence[str], args: Sequence[str | bytes]) -> Any:
        """A script by its SHA-1; with its text where Upstash does not know it (which ran nothing)."""
        texts = [arg.decode() if isinstance(arg, bytes) else arg for arg in args]
        try:
            return await self._rest.attempt("EVALSHA", script.sha, len(keys), *keys, *texts)
        except NoScript:
            return await self._rest.attempt("EVAL", script.text, len(keys), *keys, *texts)

    def _step_down(self, tried: ScriptMode, *, locks: bool = True, notifies: bool = True) -> None:
        """Leave a way that was refused, unless somebody else has left it meanwhile.

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
                self._subscriptions.expect(topic, entries[-1].position)

    async def _send(self, topic: str, notice: bytes, position: Position) -> None:
        try:
            await self._rest.call("PUBLISH", topic, notice.decode())
        except StoreUnavailable:
            return
        self._subscriptions.expect(topic, position)

    async def _newest(self, channel: str, count: int) -> list[Entry]:
        """What polling reads at each tick."""
        count = min(count, self.page)
        return read_entries(await self._rest.attempt("LRANGE", self._layout.log(channel), -count, -1))

    async def _scan(self, cursor: str, pattern: str) -> tuple[list[str], str | None]:
        return keyspace.read_scan(await self._rest.call("SCAN", cursor, "MATCH", pattern, "COUNT", keyspace.PAGE))


def fitting(page: int) -> int:
    """A page that fits Upstash's 10 MB when it is written as base64."""
    return max(1, page * 3 // 4 - 2)
