"""A history: two channels, their readers, time, and calm at the end. What befalls them is in the modules beside it."""

from __future__ import annotations

import asyncio
import itertools
from collections.abc import Coroutine, Iterator
from typing import TYPE_CHECKING, Any, ClassVar

from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, rule

from tests.model.clients import Client, PollClient, StreamClient, TurnClient, ask
from tests.model.follower import seen
from tests.model.truth import Truth

if TYPE_CHECKING:
    from gapless.log.entries import Entry
    from gapless.log.store import Store
    from tests.model.around import Around
    from tests.model.places import Place

ALARM = 20.0
"""Seconds for what takes half a second."""

channels = st.integers(0, 1)
services = st.integers(0, 1)
names = st.sampled_from(["a", "b", "c", "d"])
users = st.sampled_from(["ann", "bob", "eve"])


class Life(RuleBasedStateMachine):
    """`place` is set by whoever runs it. Each history has channels of its own."""

    place: ClassVar[Place]

    def __init__(self) -> None:
        super().__init__()
        self.truths = [Truth(f"c{next(self.place.channels)}", strict=self.place.virtual) for _ in range(2)]
        self.streams: list[StreamClient] = []
        self.others: list[Client] = []
        self.late: list[tuple[Truth, list[Entry]]] = []
        self.store: Store = self.place.open_store()

    def run(self, doing: Coroutine[Any, Any, None]) -> None:
        """Do it, and then hold what every reader has got against the laws."""
        self.place.runner.run(doing)
        for stream in self.streams:
            stream.read()

    # --- time

    @rule(seconds=st.sampled_from([0.005, 0.05, 0.4]))
    def pause(self, seconds: float) -> None:
        """Nothing happens."""
        self.run(self.place.pause(seconds))

    @rule()
    def settle(self) -> None:
        """All is quiet: everybody has everything there is, and nothing that is gone."""
        self.run(self._settle())
        seen["settled"] += 1

    async def _settle(self) -> None:
        """Until the pages show the log and, at that very moment, everybody stands at its end: a foreign notice that is
        still on its way may part them again."""
        waited, shown = 0.0, False
        while waited < (3.0 if self.place.virtual else ALARM):
            shown = await self._shown()
            await self._ask()
            if shown and all(client.level for client in self._read()):
                break
            await self.place.pause(0.02)
            waited += 0.02
        for client in self._read():
            for follower in client.followers.values():
                follower.judge()
        assert shown, "no page shows the log"
        await self._rest()

    async def _rest(self) -> None:
        """Until every stream knows all marks, and who is there: whoever has a stream, and nobody else."""
        waited = 0.0
        while waited < (3.0 if self.place.virtual else ALARM) and not all(
            around.at_rest(truth.marks, users) for around, truth, users in self._around()
        ):
            await self.place.pause(0.05)
            waited += 0.05
            self._read()
        for around, truth, users in self._around():
            around.judge(truth.marks, users)

    def _around(self) -> Iterator[tuple[Around, Truth, set[str]]]:
        """What each open stream is told around each of its channels, and what is true."""
        here = [stream for stream in self.streams if stream.here]
        for stream in here:
            for channel, around in stream.around.items():
                users = {one.user for one in here if channel in one.around}
                yield around, stream.followers[channel].truth, users

    def _read(self) -> list[Client]:
        """All that has come so far is read; who there is."""
        here = [stream for stream in self.streams if stream.here]
        for stream in here:
            stream.read()
        return [*here, *self.others]

    async def _shown(self) -> bool:
        """The newest page ends as the log does, at both services; what a warm one has kept longer may stand before."""
        for app, truth in itertools.product(self.place.apps[:2], self.truths):
            page = (await ask(app, "GET", f"/channels/{truth.channel}/messages?limit=200")).json()
            shown, log = [one["id"] for one in page["messages"]], [str(entry.position) for entry in truth.log]
            if (shown[-len(log) :] if log else shown) != log:
                return False
        return True

    async def _ask(self) -> None:
        """Those who have to ask do, where they have not everything."""
        for client in self.others:
            if not client.level and isinstance(client, PollClient):
                await client.poll(self.place.apps[0], 12)
            elif not client.level and isinstance(client, TurnClient):
                await client.turn(self.place.apps[2])

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
