"""The store port as a model, for tests on virtual time: what the log is, in ten lines, and every way to disturb it.

It is no product store: it exists so that feeds and streams can be driven through thousands of orders of events. The
contract suite holds it to the same sentences as the real ones.
"""

from __future__ import annotations

import asyncio
from collections import Counter, defaultdict
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from itertools import count

from gapless.log.cursor import Position, base36, new_epoch
from gapless.log.entries import Draft, Entry, format_entry
from gapless.log.errors import StoreUnavailable
from gapless.log.presence import Attendance, Living, format_notice
from gapless.log.publication import Accepted, KeyConflict, Outcome, Publication, Repeated
from gapless.log.receipts import Marks, Receipt, format_receipt
from gapless.log.signals import Signal
from gapless.log.store import MOST_BYTES, ChannelInfo, Listener, Slice
from tests.testkit.clock import VirtualClock
from tests.testkit.model_log import as_of, attend, chained, draft, fitting, holds, joins
from tests.testkit.model_subscription import ModelSubscription


@dataclass
class ModelStore:
    """Logs as lists. `notify` False: notices are lost. `down`: calls fail; `stuck`: they never return.

    `lag`: reads see the log so long ago.
    """

    clock: VirtualClock = field(default_factory=VirtualClock)
    cap: int = 1000
    page: int = 64
    recheck: float = 15.0
    name: str = "model"
    latency: float = 0.0
    notify: bool = True
    down: bool = False
    stuck: bool = False
    lag: float = 0.0
    marks_trouble: str = ""
    """`down` or `stuck`, of receipts and presence alone."""
    polled: bool = False
    """Channels are polled, so that nothing is told around messages."""
    logs: dict[str, list[Entry]] = field(default_factory=lambda: defaultdict(list))
    subscriptions: dict[str, list[ModelSubscription]] = field(default_factory=lambda: defaultdict(list))
    receipts: dict[str, dict[str, Marks]] = field(default_factory=lambda: defaultdict(dict))
    leases: dict[str, dict[str, int]] = field(default_factory=lambda: defaultdict(dict))
    ahead: float = 0.0
    """Seconds by which the store's own clock is ahead of everybody else's."""
    calls: Counter[str] = field(default_factory=Counter)
    sent: int = 0
    """Bytes of the entries that reads have returned."""
    keys: dict[str, dict[str, tuple[str, list[Position]]]] = field(default_factory=lambda: defaultdict(dict))
    made: dict[str, Entry] = field(default_factory=dict)
    """Every entry there ever was, by id."""

    def __post_init__(self) -> None:
        self._chance = count(1)
        self._past: dict[str, list[tuple[float, list[Entry]]]] = defaultdict(list)

    # --- the port

    def state(self) -> dict[str, str]:
        return {}

    async def publish(self, publication: Publication) -> Outcome:
        await self._reach("publish")
        keys, known, log = publication.keys(), self.keys[publication.channel], self.logs[publication.channel]
        met = [(key, *known[key.name]) for key in keys if key.name in known and holds(log, known[key.name][1][0])]
        if met:
            same = sum(key.digest == digest for key, digest, _ in met)
            if same < len(keys) or not publication.repeatable:
                return KeyConflict(len(met), same)
            return Repeated(tuple(position for _, _, ids in met for position in ids), int(self.clock.now() * 1000))
        added = self._append(publication.channel, publication.drafts, publication.marks, publication.epoch)
        for key in keys:
            ids = [entry.position for entry in added[key.first - 1 : key.first - 1 + key.count]]
            known[key.name] = key.digest, ids
        return Accepted(tuple(added))

    async def tail(self, channel: str, count: int, most: int | None = None) -> list[Entry]:
        await self._reach("tail")
        log = self._seen(channel)
        if not count:
            return []
        return self._send(log[-min(count, self.page) :] if most is None else fitting(log[-count:][::-1], most)[::-1])

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
        await self._reach("slice")
        log = self._seen(channel)
        if not log:
            return Slice()
        found = [entry for entry in log if first <= entry.position.seq <= last]
        if beside is not None and not joins(log, found, back, beside):
            found = []
        found = fitting(found[::-1], most)[::-1] if back else fitting(found, most)
        return Slice(tuple(self._send(found)), log[0].link, log[-1].link)

    async def subscribe(self, channel: str, listener: Listener) -> ModelSubscription:
        await self._reach("subscribe")
        subscription = ModelSubscription(self, channel, listener)
        self.subscriptions[channel].append(subscription)
        return subscription

    async def signal(self, signal: Signal) -> int:
        """It knows no rates."""
        await self._reach("signal")
        self.tell_aside(signal.channel, signal.notice)
        return 0

    @property
    def tells_asides(self) -> bool:
        return not self.polled

    async def raise_marks(self, receipt: Receipt) -> tuple[Marks, bool]:
        await self._reach("raise_marks")
        held = self.receipts[receipt.channel].get(receipt.user, Marks())
        raised = held.raised(receipt.marks)
        if raised != held:
            self.receipts[receipt.channel][receipt.user] = raised
            if self.notify:
                self.tell_aside(receipt.channel, format_receipt(receipt.user, raised))
        return raised, raised != held

    async def marks(self, channel: str) -> dict[str, Marks]:
        await self._reach("marks")
        await self._suffer(self.marks_trouble)
        return dict(self.receipts[channel])

    async def attend(self, asked: Attendance) -> Living:
        """Its own time is the clock's, or another one: `ahead`."""
        await self._reach("attend")
        await self._suffer(self.marks_trouble)
        now = int((self.clock.now() + self.ahead) * 1000)
        living, renewed, joined, left = attend(self.leases[asked.channel], asked, now)
        self.calls["zadd"] += renewed
        if (joined or left) and self.notify:
            self.calls["told"] += 1
            self.tell_aside(asked.channel, format_notice(joined, left))
        return living

    async def forget(self, channel: str) -> None:
        self.receipts[channel].clear()
        self.leases[channel].clear()
        await self._reach("forget")
        self.wipe(channel)
        self.tell(channel, Position("zzzzzzzz", 1, "zzzz"))

    async def channels(self, cursor: str) -> tuple[list[ChannelInfo], str | None]:
        await self._reach("channels")
        return [ChannelInfo(name, len(log), log[-1]) for name, log in self.logs.items() if log], None

    async def ping(self) -> None:
        await self._reach("ping")

    async def check(self) -> None:
        await self._reach("check")

    async def close(self) -> None:
        self.subscriptions.clear()

    def _send(self, entries: list[Entry]) -> list[Entry]:
        self.sent += sum(len(format_entry(entry)) for entry in entries)
        return entries

    async def _reach(self, call: str) -> None:
        self.calls[call] += 1
        await asyncio.sleep(self.latency)
        await self._suffer("stuck" if self.stuck else "down" if self.down else "")

    async def _suffer(self, trouble: str) -> None:
        if trouble == "stuck":
            await asyncio.Event().wait()
        if trouble == "down":
            raise StoreUnavailable("down on purpose")

    # --- what happens to a log

    def append(self, channel: str, *data: str) -> list[Entry]:
        """Publish these as one batch, at once."""
        return self._append(channel, [draft(one) for one in data], [self.chance(4) for _ in data], None)

    def _append(self, channel: str, drafts: Sequence[Draft], marks: Sequence[str], epoch: str | None) -> list[Entry]:
        self._remember(channel)
        log, now = self.logs[channel], self.clock.now()
        head = log[-1].position if log else Position(epoch or new_epoch(now, self.chance(2)), 0, "0")
        added = chained(head, drafts, marks, int(now * 1000))
        log += added
        self.made.update((str(entry.position), entry) for entry in added)
        if len(log) > self.cap + self.cap // 4:
            del log[: -self.cap]
        if self.notify:
            self.tell(channel, added)
        return added

    def tell(self, channel: str, told: Sequence[Entry] | Position) -> None:
        """A notice, true or not."""
        for subscription in list(self.subscriptions[channel]):
            subscription.listener.notice(told)

    def tell_aside(self, channel: str, notice: bytes) -> None:
        """A notice of no messages, true or not."""
        if self.polled:
            return
        self.each_ear(channel, lambda listener: listener.aside(notice))

    def each_ear(self, channel: str, do: Callable[[Listener], None]) -> None:
        """Lose or regain the subscription."""
        for subscription in list(self.subscriptions[channel]):
            do(subscription.listener)

    def forget_last(self, channel: str, count: int) -> list[Entry]:
        """A failover that lost acknowledged entries. Its replicas follow the new primary: none shows what was lost."""
        self._past[channel].clear()
        log = self.logs[channel]
        lost = log[len(log) - count :]
        del log[len(log) - count :]
        return lost

    def wipe(self, channel: str) -> None:
        """Delete the log, on every replica."""
        self._past[channel].clear()
        self.logs[channel].clear()

    def chance(self, digits: int) -> str:
        """Never the same twice."""
        return base36(next(self._chance), digits)[-digits:]

    def _remember(self, channel: str) -> None:
        self._past[channel].append((self.clock.now(), list(self.logs[channel])))

    def _seen(self, channel: str) -> list[Entry]:
        """The log, or what a lagging replica still shows of it."""
        return as_of(self.clock.now() - self.lag, self._past[channel], self.logs[channel])
