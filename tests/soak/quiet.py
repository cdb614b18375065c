"""The end of a soak, where nothing fails any more: what each process says at /metrics must equal what was counted.

The processes are those that have lived through the faults, and one more, whose streams end soon. Everybody here reads
to an end that he knows and then leaves; every post is answered; the store counts what it is sent. What the numbers have
grown by meanwhile has one right value each.
"""

from __future__ import annotations

import asyncio
from collections import Counter
from typing import TYPE_CHECKING, Any
from urllib.parse import quote

import httpx
from anyio import to_thread

from tests.soak.bodies import Weighing
from tests.soak.commands import OURS, Count, store_counts
from tests.soak.exact import CLIENTS, OUTCOMES, STORE, Account, Numbers, counted, grown, missing, named, samples
from tests.soak.party import PATIENCE, Books, Channels, Party
from tests.testkit.alarm import auntil
from tests.testkit.checker import Minimum, check
from tests.testkit.service import Service
from tests.testkit.wire import Wire

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

    from tests.testkit.chaos.stage import Stage

ALL = 150.0
"""Seconds for all of it; it takes a tenth where the machine has nothing else to do."""
SOON = 10.0
"""Seconds after which the streams of the youngest process end: until then two must be open when a third one asks."""
MOMENT = 0.2
"""Seconds in which a command that is under way has arrived, and its reply come back."""
FLOOD = 120
"""Messages: more than a log here keeps, and of this size more than a feed holds."""
LARGE = 8192
WANTED = (
    *(f"gapless_streams_ended_total{{{reason}}}" for reason in ("deadline", "disconnect", "unavailable")),
    "gapless_streams_opened_total",
    *(f"gapless_streams_refused_total{{{reason}}}" for reason in ("busy", "unavailable")),
    "gapless_turns_total",
    "gapless_messages_published_total",
    "gapless_publish_seconds_count",
    *(f"gapless_publishes_total{{{outcome}}}" for outcome in OUTCOMES.values() if outcome != "unknown"),
    *(f"gapless_messages_delivered_total{{{to}}}" for to in ("stream", "turn", "page")),
    *(f"gapless_delivered_bytes_total{{{to}}}" for to in ("stream", "turn", "page")),
    *(f"gapless_gaps_total{{{reason}}}" for reason in ("trimmed", "reset", "unknown")),
    *(f"gapless_store_commands_total{{EVALSHA,{script}}}" for script in ("publish", "newest", "presence", "receipt")),
    "gapless_store_commands_total{SUBSCRIBE}",
    "gapless_store_bytes_total{sent}",
)
"""Numbers of which some must have been counted: comparing nothing shows nothing."""
_REPLACE = "redis.call('SET', KEYS[1], 'something else')"
_WIPE = "local held = redis.call('LRANGE', KEYS[1], 0, -1) redis.call('DEL', KEYS[1]) return held"


class Quiet:
    """`play` it on a stage whose faults are over and whose crowd has gone; then ask what is `wrong`."""

    def __init__(self, stage: Stage, names: Iterable[str]) -> None:
        """`names`: of channels and users that the processes have met before."""
        self.accounts: list[Account] = []
        self.wrong: list[str] = []
        """What does not hold, as sentences."""
        self._stage, self._names = stage, {name for name in names if name}
        *self._lived, self._buffered = stage.services
        young = {"GAPLESS_LIFETIME": str(SOON), "GAPLESS_STREAMS": "2", "GAPLESS_LINGER": str(ALL)}
        self._young = Service(self._lived[0].env | young)
        self._books = Books()
        kind = "tcp" if stage.up is None else "upstash"
        self._channels = Channels(*(f"quiet:{kind}-{name}" for name in Channels._fields))

    async def play(self) -> None:
        """All of it, and the judgement."""
        await self._buffered.aterminate()  # it tells no numbers, and so must send no commands
        try:
            async with asyncio.timeout(ALL):
                await self._play()
        except (AssertionError, TimeoutError) as error:  # what came before is judged all the same
            self.wrong.append(f"not all could be compared: {error!r}")
        finally:
            self._young.close()

    async def _play(self) -> None:
        await self._young.astart()
        await to_thread.run_sync(self._young.checked)
        weighing = Weighing(Wire())
        async with httpx.AsyncClient(transport=weighing, timeout=PATIENCE) as client:
            parties = [Party(self._books, client, one.url, self._channels, n) for n, one in enumerate(self._all)]
            before = await self._settled(client)
            try:
                async with store_counts(self._stage) as count:
                    await self._act(parties)
                    sent, ran = await self._commands(client, count)
            finally:
                for party in parties:
                    await party.leave()
            after, texts = await self._left(client)
        self._compare(before, after, sent, ran, weighing)
        self._judge(texts)

    @property
    def _all(self) -> list[Service]:
        return [*self._lived, self._young]

    # --- what happens

    async def _act(self, parties: Sequence[Party]) -> None:
        first, *_, young = parties
        lived = parties[:-1]
        *written, replaced = self._channels
        for name in written:
            await first.publish(name, 5)
        await asyncio.gather(*(party.come() for party in lived))
        self._ours(_REPLACE, replaced)
        await asyncio.gather(*(party.doomed() for party in lived))
        await asyncio.gather(*(party.write() for party in lived))
        await young.publish(self._channels.plain, 3)
        heads = {name: await first.publish(name, 1) for name in written}
        await asyncio.gather(*(party.level(heads) for party in lived))
        away = [await party.go_away() for party in lived]
        await self._meet(young)
        heads[self._channels.trimmed] = await first.publish(self._channels.trimmed, FLOOD, size=LARGE)
        held = self._ours(_WIPE, self._channels.wiped)
        self._books.history.wiped(self._channels.wiped, ["-".join(line.split(" ", 3)[:3]) for line in held])
        heads[self._channels.wiped] = await first.publish(self._channels.wiped, 3)
        await asyncio.gather(*(party.come_back(reader) for party, reader in zip(lived, away, strict=True)))
        await asyncio.gather(*(party.level(heads) for party in lived))
        await young.ended()

    async def _meet(self, young: Party) -> None:
        """Two are served, of whom all is told, until their streams end. A third is refused: there is room for two."""
        all_ = f"&history=20&receipts=1&presence=1&user={quote(young.user)}"
        await young.stream([self._channels.plain], all_)
        await young.stream(self._channels[:-1], all_)
        await young.stream([self._channels.plain])

    def _ours(self, script: str, channel: str) -> Any:
        """Do this to a channel's log, behind the back of all processes."""
        return self._stage.pair.primary.cli("EVAL", f"{OURS}{script}", 1, self._stage.pair.log(channel).key)

    # --- between, when all is still

    async def _settled(self, client: httpx.AsyncClient) -> list[Numbers]:
        """What each process tells when nobody reads any more, no channel is open, and no command was sent meanwhile."""
        before: list[Numbers] = []

        async def still() -> list[Numbers] | None:
            nonlocal before
            then, before = before, await self._told(client)
            idle = not any(told["gapless_streams_open"] or told["gapless_feeds_open"] for told in before)
            return before if idle and then and _together(then) == _together(before) else None

        found = await auntil(still, "all to be still", alarm=PATIENCE, look=0.3)
        assert found is not None
        return found

    async def _commands(self, client: httpx.AsyncClient, count: Count) -> tuple[Numbers, Numbers]:
        """What all processes say that they have sent, and what the store says, at a moment at which none is under way.

        All channels are still open: one that closes may break off its read, and nobody knows whether that was sent.
        """
        while True:
            before = await count()
            await asyncio.sleep(MOMENT)
            told = _together(await self._told(client))
            await asyncio.sleep(MOMENT)
            if await count() == before:
                return told, before

    async def _left(self, client: httpx.AsyncClient) -> tuple[list[Numbers], list[str]]:
        """What each process tells when all streams have ended."""

        async def closed() -> list[str] | None:
            texts = await self._texts(client)
            return None if any(samples(text)["gapless_streams_open"] for text in texts) else texts

        texts = await auntil(closed, "all streams to end", alarm=PATIENCE, look=0.1)
        assert texts is not None
        return [samples(text) for text in texts], texts

    async def _told(self, client: httpx.AsyncClient) -> list[Numbers]:
        return [samples(text) for text in await self._texts(client)]

    async def _texts(self, client: httpx.AsyncClient) -> list[str]:
        replies = [await client.get(f"{service.url}/metrics") for service in self._all]
        return [reply.raise_for_status().text for reply in replies]

    # --- what came of it

    def _compare(
        self, before: Sequence[Numbers], after: Sequence[Numbers], sent: Numbers, ran: Numbers, weighing: Weighing
    ) -> None:
        books = self._books
        seen = counted(books.history.readers.values(), books.ways, books.posts, weighing.sizes)
        for service, then, now in zip(self._all, before, after, strict=True):
            self.accounts.append(Account(f"service {service.port}", grown(then, now, CLIENTS), seen[service.url]))
        self.accounts.append(Account("the store", grown(_together(before), sent, STORE), ran))
        self.wrong += [sentence for account in self.accounts for sentence in account.wrong()]
        self.wrong += missing(self.accounts, WANTED)

    def _judge(self, texts: Sequence[str]) -> None:
        """What was read and written here, by the checker, and what the labels say."""
        history = self._books.history
        for channel in self._channels[:-1]:
            self._stage.pair.log(channel).tell(history)
        verdict = check(history, Minimum(messages=1, published=1, gaps=3))
        self.wrong += [verdict.story(finding) for finding in verdict.findings] + verdict.too_little
        self.wrong += named(texts, self._names | history.names)

    @property
    def report(self) -> dict[str, Any]:
        """JSON-able: what was compared, as it was counted for all processes together."""
        together: Numbers = sum((account.seen for account in self.accounts), Counter())
        return {
            "processes": len(self._all),
            "numbers": sum(len(account.told.keys() | account.seen.keys()) for account in self.accounts),
            "counted": dict(sorted(together.items())),
            "names looked for in labels": len(self._names | self._books.history.names),
        }


def _together(told: Sequence[Numbers]) -> Numbers:
    """What all processes say of the store. Zeros stay."""
    found: Numbers = Counter()
    for one in told:
        found.update(grown(Counter(), one, STORE))
    return found
