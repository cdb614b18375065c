"""What readers do, those who look at the log as it is and those who follow it."""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING, Any

from hypothesis import strategies as st
from hypothesis.stateful import precondition, rule

from tests.model.clients import GARBAGE, PollClient, StreamClient, TurnClient, ask
from tests.model.life import Life, channels, services, users

if TYPE_CHECKING:
    from tests.model.truth import Truth

MOST_READERS = 5


class Reading(Life):
    """At either service; turns at the one that hands bodies over whole."""

    @rule(number=channels, first=st.integers(0, 60), length=st.integers(0, 30))
    def look(self, number: int, first: int, length: int) -> None:
        """A stretch by number with both ends, and the newest."""
        self.run(self._look(self.truths[number], first, length))

    async def _look(self, truth: Truth, first: int, length: int) -> None:
        log, page, last = truth.log, self.store.page, first + length
        cut = await self.store.slice(truth.channel, first, last)
        assert _plain(cut.entries) == _plain([entry for entry in log if first <= entry.position.seq <= last])
        ends = [cut.oldest, cut.latest] if cut.oldest and cut.latest else []
        assert ends == ([log[0].link, log[-1].link] if log else [])
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

    @precondition(lambda self: len(self.streams) < MOST_READERS)
    @rule(
        which=st.sampled_from([[0], [1], [0, 1]]),
        where=services,
        begin=st.sampled_from(["", "history=3", "after"]),
        user=users,
    )
    def join(self, which: list[int], where: int, begin: str, user: str = "ann") -> None:
        """A new stream: from now, from a while ago, or after what is no cursor. Several may be of one user."""
        stream = StreamClient([self.truths[number] for number in which], user)
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


def _plain(entries: Any) -> list[tuple[Any, ...]]:
    """Without the time, which the truth does not know."""
    return [(entry.position, entry.prev, entry.body) for entry in entries]
