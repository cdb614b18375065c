"""What the stores over TCP and over REST share: the same commands and scripts, whatever carries them."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Callable, Sequence
from functools import partial
from itertools import chain
from typing import Any

from gapless.log.cursor import Position
from gapless.log.entries import Entry
from gapless.log.presence import Attendance, Living
from gapless.log.receipts import Marks, Receipt, format_receipt, parse_marks, read_marks
from gapless.log.signals import Signal
from gapless.log.store import MOST_BYTES, ChannelInfo, Slice
from gapless.stores import keyspace
from gapless.stores.attempts import persist
from gapless.stores.replies import read_entries, read_slice, text
from gapless.stores.scripts import Command, Keyed, Layout, NoScript, Script, load


class CommandStore(ABC):
    """Reads a log by commands and scripts. A subclass sends them, and publishes and subscribes in its own way."""

    def __init__(self, layout: Layout, page: int) -> None:
        self._layout = layout
        self.page = page

    async def tail(self, channel: str, count: int, most: int | None = None) -> list[Entry]:
        """One LRANGE; with `most`, one EVALSHA around it."""
        if count < 1:  # to LRANGE, 0 is the beginning
            return []
        if most is not None:
            asked = self._layout.newest(channel, count, most, self.page)
            return read_entries(await self._run(load("newest"), lambda: asked, repeatable=True))
        return read_entries(await self._call("LRANGE", self._layout.log(channel), -min(count, self.page), -1))

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
        return read_slice(await self._run(load("slice"), lambda: asked, repeatable=True), first, last, back)

    async def signal(self, signal: Signal) -> int:
        """One PUBLISH; with a rate one EVALSHA around GET, SET and PUBLISH.

        Never again after a lost reply: a reader that has meanwhile gone to another process would get it twice.
        """
        if signal.rate is not None:
            wait, notified = await self._aside("signal", partial(self._layout.signal, signal), repeatable=False)
            if int(wait) or int(notified):
                return int(wait)
        topic = self._layout.topic(signal.channel)
        await persist(lambda: self._attempt("PUBLISH", topic, signal.notice), repeatable=False)
        return 0

    @property
    def tells_asides(self) -> bool:
        return True

    async def raise_marks(self, receipt: Receipt) -> tuple[Marks, bool]:
        """One EVALSHA around HMGET, HSET and PUBLISH."""
        reply = await self._aside("receipt", partial(self._layout.receipt, receipt))
        delivered, read, rose, notified = map(text, reply)
        marks = parse_marks(delivered, read)
        if notified == "0":
            await self._call("PUBLISH", self._layout.topic(receipt.channel), format_receipt(receipt.user, marks))
        return marks, rose == "1"

    async def marks(self, channel: str) -> dict[str, Marks]:
        """One HGETALL."""
        reply = await self._call("HGETALL", self._layout.receipts(channel))
        flat = chain.from_iterable(reply.items()) if isinstance(reply, dict) else reply  # Upstash's SDK makes a dict
        return read_marks([text(part) for part in flat])

    async def attend(self, asked: Attendance) -> Living:
        """One EVALSHA around TIME and ZRANGEBYSCORE, and what is written."""
        reply = await self._aside("presence", partial(self._layout.attendance, asked))
        now, count, notice, *flat, notified = map(text, reply)
        if notified == "0":
            await self._call("PUBLISH", self._layout.topic(asked.channel), notice)
        return Living(int(now), dict(zip(flat[::2], map(int, flat[1::2]), strict=True)), int(count))

    async def forget(self, channel: str) -> None:
        await keyspace.forget(self._call, self._layout, channel)

    async def channels(self, cursor: str) -> tuple[list[ChannelInfo], str | None]:
        return await keyspace.channels(self._call, self._scan, self._layout, cursor)

    async def ping(self) -> None:
        await self._call("PING")

    async def _call(self, *command: Any) -> Any:
        """The reply to a command that may be sent twice."""
        return await persist(lambda: self._attempt(*command), repeatable=True)

    async def _run(self, script: Script, command: Command, *, repeatable: bool) -> Any:
        """A script's reply. `command`: its KEYS and ARGV, for each attempt."""
        return await persist(lambda: self._evaluate(script, *command()), repeatable=repeatable)

    async def _evaluate(self, script: Script, keys: Sequence[str], args: Sequence[str | bytes]) -> Any:
        """A script by its SHA-1; with its text where the server does not know it (which ran nothing)."""
        try:
            return await self._attempt("EVALSHA", script.sha, len(keys), *keys, *args)
        except NoScript:
            return await self._attempt("EVAL", script.text, len(keys), *keys, *args)

    async def _aside(self, name: str, command: Callable[[bool], Keyed], *, repeatable: bool = True) -> list[Any]:
        """The reply of a script for what goes on around messages, whose last part says whether it has notified.

        `command`: its KEYS and ARGV; whether it shall notify.
        """
        reply: list[Any] = await self._run(load(name), lambda: command(True), repeatable=repeatable)
        return reply

    @abstractmethod
    async def _attempt(self, *command: Any) -> Any:
        """The reply to a command that is sent once. Raises StoreUnavailable; NoScript where the script is not known."""

    @abstractmethod
    async def _scan(self, cursor: str, pattern: str) -> tuple[list[str], str | None]:
        """A page of the keys that match, and the next cursor; None at the end."""
