"""The state machine: whatever may befall two channels and their readers, in any order hypothesis can think of."""

from __future__ import annotations

import asyncio
import itertools
from collections.abc import Callable, Coroutine
from typing import TYPE_CHECKING, Any, ClassVar

from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, precondition, rule

from app.cursor import base36
from app.models import Message
from tests.model.clients import GARBAGE, Client, PollClient, StreamClient, TurnClient, ask
from tests.model.follower import seen
from tests.model.truth import CAP, Key, Truth

if TYPE_CHECKING:
    from app.cursor import Position
    from app.events import Entry
    from app.store import Store
    from tests.model.places import Place

MOST_READERS = 5
ALARM = 20.0
"""Seconds for what takes half a second."""

channels = st.integers(0, 1)
services = st.integers(0, 1)
users = st.sampled_from([None, "ann"])
names = st.sampled_from(["a", "b", "c", "d"])
data = st.integers(0, 2)


class Machine(RuleBasedStateMachine):
    """`place` is set by whoever runs it. Each history has channels of its own."""

    place: ClassVar[Place]

    def __init__(self) -> None:
        super().__init__()
        self.truths = [Truth(f"c{next(self.place.channels)}") for _ in range(2)]
        self.streams: list[StreamClient] = []
        self.others: list[Client] = []
        self.late: list[tuple[Truth, list[Entry]]] = []
        self.store: Store = self.place.open_store()
        self._marks = itertools.count()

    def run(self, doing: Coroutine[Any, Any, None]) -> None:
        """Do it, and then hold what every reader has got against the laws."""
        self.place.runner.run(doing)
        for stream in self.streams:
            stream.read()

    # --- publishing

    @rule(number=channels, user=users, value=data, name=st.none() | names, where=services)
    def post(self, number: int, user: str | None, value: int, name: str | None, where: int) -> None:
        """One message, maybe under a localId: a new one, the same again, or the same with other content."""
        message = Message(data=value, user=user, localId=name)
        keys = [("one", user, name)] if name else []
        self.run(self._publish(self.truths[number], [message], keys, where, batch=False))

    @rule(number=channels, count=st.integers(1, CAP), where=services)
    def post_batch(self, number: int, count: int, where: int) -> None:
        """Many, so that the log is trimmed."""
        messages = [Message(data=f"one of {count}") for _ in range(count)]
        self.run(self._publish(self.truths[number], messages, [], where))

    @rule(number=channels, where=services)
    def flood(self, number: int, where: int) -> None:
        """So much that nothing is kept of what was there."""
        for _ in range(3):
            self.post_batch(number, CAP // 2, where)

    @rule(number=channels, picked=st.lists(names, min_size=1, max_size=3, unique=True), value=data, where=services)
    def post_named_batch(self, number: int, picked: list[str], value: int, where: int) -> None:
        """Each under its own localId: all new, all known, or some of them."""
        messages = [Message(data=value, localId=name) for name in picked]
        self.run(self._publish(self.truths[number], messages, [("one", None, name) for name in picked], where))

    @rule(number=channels, name=names, count=st.integers(1, 2), where=services)
    def post_batch_under_a_key(self, number: int, name: str, count: int, where: int) -> None:
        """One key for all."""
        messages = [Message(data="together") for _ in range(count)]
        self.run(self._publish(self.truths[number], messages, [("batch", None, name)], where, header=name))

    async def _publish(
        self,
        truth: Truth,
        messages: list[Message],
        keys: list[Key],
        where: int,
        *,
        batch: bool = True,
        header: str | None = None,
    ) -> None:
        bodies = [message.model_dump(exclude_none=True) for message in messages]
        contents = [tuple(map(repr, messages))] if header else [(repr(message),) for message in messages]
        status, ids = truth.expect(keys, contents)
        headers = {"Idempotency-Key": header} if header else {}
        path = f"/channels/{truth.channel}/messages"
        reply = await ask(self.place.apps[where], "POST", path, json=bodies if batch else bodies[0], headers=headers)
        assert reply.status_code == status, (reply.text, truth.keys)
        seen[f"published {status}"] += 1
        if status == 409:
            return
        told = reply.json() if batch else [reply.json()]
        got = [one["id"] for one in told]
        if status == 200:
            assert got == ids
            return
        added = truth.append(got, [message.draft(message.user).body for message in messages])
        for index, key in enumerate(keys):
            truth.keys[key] = contents[index], got if header else [got[index]]
        cut = await self.store.slice(truth.channel, added[-1].position.seq, added[-1].position.seq)
        assert cut.oldest is not None
        truth.trim(added[-1].position.seq - cut.oldest.position.seq + 1)
        self.late.append((truth, added))

    # --- reading the log as it is

    @rule(number=channels, first=st.integers(0, 60), length=st.integers(0, 30))
    def look(self, number: int, first: int, length: int) -> None:
        """A stretch by number with both ends, and the newest."""
        self.run(self._look(self.truths[number], first, length))

    async def _look(self, truth: Truth, first: int, length: int) -> None:
        log, page = truth.log, self.store.page
        cut = await self.store.slice(truth.channel, first, first + length)
        last = min(first + length, first + page - 1)
        assert _plain(cut.entries) == _plain([entry for entry in log if first <= entry.position.seq <= last])
        ends = [cut.oldest, cut.latest] if cut.oldest and cut.latest else []
        assert _plain(ends) == _plain([log[0], log[-1]] if log else [])
        newest = await self.store.tail(truth.channel, length)
        assert _plain(newest) == _plain(log[-min(length, page) :] if length else [])

    @rule(number=channels, where=services, pick=st.integers(0, 200), limit=st.integers(1, 12))
    def look_back(self, number: int, where: int, pick: int, limit: int) -> None:
        """What was before some message that there ever was."""
        self.run(self._look_back(self.truths[number], where, pick, limit))

    async def _look_back(self, truth: Truth, where: int, pick: int, limit: int) -> None:
        if not truth.made:
            return
        place = list(truth.made)[pick % len(truth.made)]
        path = f"/channels/{truth.channel}/messages?before={place}&limit={limit}"
        page = (await ask(self.place.apps[where], "GET", path)).json()
        here = [entry.position for entry in truth.log]
        wanted = here[: here.index(place)][-limit:] if place in here else []
        assert [message["id"] for message in page["messages"]] == [str(one) for one in wanted], page
        trimmed = bool(here) and place.epoch == here[0].epoch and place.seq < here[0].seq
        assert (page["gap"] is None) == (place in here or trimmed), page
        assert page["gap"] is None or truth.is_gone(place)

    # --- readers

    @precondition(lambda self: len(self.streams) < MOST_READERS)
    @rule(which=st.sampled_from([[0], [1], [0, 1]]), where=services, begin=st.sampled_from(["", "history=3", "after"]))
    def join(self, which: list[int], where: int, begin: str) -> None:
        """A new stream: from now, from a while ago, or after what is no cursor."""
        stream = StreamClient([self.truths[number] for number in which])
        self.streams.append(stream)
        stream.cursor = GARBAGE if begin == "after" else ""
        self.run(stream.open(self.place.apps[where], begin if begin != "after" else ""))

    @precondition(lambda self: self.streams)
    @rule(pick=st.integers(0, MOST_READERS - 1), where=services)
    def cut_or_come_back(self, pick: int, where: int) -> None:
        """Here or elsewhere."""
        stream = self.streams[pick % len(self.streams)]
        self.run(stream.cut() if stream.here else stream.open(self.place.apps[where]))

    @rule(number=channels, where=services, pick=st.integers(0, 1), limit=st.integers(1, 12))
    def poll(self, number: int, where: int, pick: int, limit: int) -> None:
        """One of two who ask for pages."""
        client = self._client(PollClient, number, pick)
        self.run(client.poll(self.place.apps[where], limit))

    @rule(number=channels)
    def turn(self, number: int) -> None:
        """One who is answered whole, where there is something to answer with."""
        client = self._client(TurnClient, number, 0)
        if not client.cursor or not client.level:
            self.run(client.turn(self.place.apps[2]))

    def _client(self, kind: Callable[[list[Truth]], Any], number: int, pick: int) -> Any:
        mine = [one for one in self.others if isinstance(one, kind) and self.truths[number].channel in one.followers]  # type: ignore[arg-type]
        if pick < len(mine):
            return mine[pick]
        self.others.append(client := kind([self.truths[number]]))
        return client

    # --- mischief

    @rule(number=channels, take=st.integers(1, 4), put=st.integers(0, 5), untold=st.integers(0, 5))
    def fail_over(self, number: int, take: int, put: int, untold: int) -> None:
        """The last messages are lost, and others are appended: with notices, without, or with those of the last."""
        truth = self.truths[number]
        take = min(take, len(truth.log))
        before = truth.log[-take - 1].position if take < len(truth.log) else None
        self.run(self._rewrite(truth, take, before, put, untold))

    @rule(number=channels)
    def wipe(self, number: int) -> None:
        """By eviction, say: without a word."""
        self.run(self._rewrite(self.truths[number], len(self.truths[number].log), None, 0, 0))

    async def _rewrite(self, truth: Truth, take: int, before: Position | None, put: int, untold: int) -> None:
        added = truth.forge(before, self._chance(put), self.place.now()) if put else []
        self.place.hands.rewrite(truth.channel, take, added)
        truth.rewrite(take, added)
        if added[untold:]:
            self.place.hands.tell(truth.channel, added[untold:])

    @rule(number=channels)
    def forget(self, number: int) -> None:
        """By an administrator: with its keys, and with word of it."""
        self.run(self._forget(self.truths[number]))

    async def _forget(self, truth: Truth) -> None:
        await self.store.forget(truth.channel)
        truth.forget()

    @precondition(lambda self: self.late)
    @rule(pick=st.integers(0, 50))
    def tell_late(self, pick: int) -> None:
        """A notice comes again, after a while."""
        truth, entries = self.late[pick % len(self.late)]
        self.run(self._tell(truth, entries))

    @rule(number=channels, back=st.integers(0, 3), count=st.integers(1, 2))
    def tell_foreign(self, number: int, back: int, count: int) -> None:
        """A deposed primary goes on from where it was; where there was nothing, somebody makes up a log."""
        truth = self.truths[number]
        before = truth.log[-1 - back].position if back < len(truth.log) else None
        self.run(self._tell_foreign(truth, before, self._chance(count)))

    async def _tell_foreign(self, truth: Truth, before: Position | None, chance: list[str]) -> None:
        foreign = truth.forge(before, chance, self.place.now())
        truth.hears(foreign)
        await self._tell(truth, foreign)

    async def _tell(self, truth: Truth, entries: list[Entry]) -> None:
        self.place.hands.tell(truth.channel, entries)

    def _chance(self, count: int) -> list[str]:
        return [base36(next(self._marks), 4) for _ in range(count)]

    # --- time

    @rule(seconds=st.sampled_from([0.005, 0.05, 0.4]))
    def pause(self, seconds: float) -> None:
        """Nothing happens."""
        self.run(self.place.pause(seconds))

    @rule()
    def settle(self) -> None:
        """All is quiet: everybody has everything there is, and nothing that is gone."""
        self.run(self._settle())
        for client in [*self.others, *(stream for stream in self.streams if stream.here)]:
            for follower in client.followers.values():
                follower.judge()
        assert self.place.runner.run(self._shown()), "no page shows the log"
        seen["settled"] += 1

    async def _settle(self) -> None:
        waited = 0.0
        while waited < ALARM and not (await self._level() and await self._shown()):
            await self.place.pause(0.02)
            waited += 0.02

    async def _shown(self) -> bool:
        """The newest page ends as the log does, at both services; what a warm one has kept longer may stand before."""
        for app, truth in itertools.product(self.place.apps[:2], self.truths):
            page = (await ask(app, "GET", f"/channels/{truth.channel}/messages?limit=200")).json()
            shown, log = [one["id"] for one in page["messages"]], [str(entry.position) for entry in truth.log]
            if (shown[-len(log) :] if log else shown) != log:
                return False
        return True

    async def _level(self) -> bool:
        """Every reader has everything, those who have to ask having asked."""
        here = [stream for stream in self.streams if stream.here]
        for stream in here:
            stream.read()
        for client in self.others:
            if not client.level and isinstance(client, PollClient):
                await client.poll(self.place.apps[0], 12)
            elif not client.level and isinstance(client, TurnClient):
                await client.turn(self.place.apps[2])
        return all(client.level for client in [*here, *self.others])

    def teardown(self) -> None:
        """Everybody comes back, all is quiet, and everybody goes."""
        try:
            for stream in self.streams:
                if not stream.here:
                    self.run(stream.open(self.place.apps[0]))
            self.settle()
        finally:
            self.place.runner.run(self._leave())

    async def _leave(self) -> None:
        await asyncio.gather(*(stream.cut() for stream in self.streams))
        if not self.place.virtual:
            await self.store.close()


def _plain(entries: Any) -> list[tuple[Any, ...]]:
    """Without the time, which the truth does not know."""
    return [(entry.position, entry.prev, entry.body) for entry in entries]
