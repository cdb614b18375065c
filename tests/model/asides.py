"""What users do around messages: signals, and receipts of what they have got."""

from __future__ import annotations

from typing import TYPE_CHECKING

from hypothesis import strategies as st
from hypothesis.stateful import precondition, rule

from gapless.log.cursor import parse_position
from gapless.log.receipts import Marks
from tests.model.clients import ask
from tests.model.life import Life, channels, services, users

if TYPE_CHECKING:
    from tests.model.truth import Truth


class Asides(Life):
    """Through either service."""

    @rule(number=channels, where=services)
    def signal(self, number: int, where: int) -> None:
        """Something for those who read now."""
        self.run(self._signal(self.truths[number], where))

    async def _signal(self, truth: Truth, where: int) -> None:
        path = f"/channels/{truth.channel}/signals"
        reply = await ask(self.place.apps[where], "POST", path, json={"event": "typing"})
        assert reply.status_code == 202, reply.text

    @precondition(lambda self: any(truth.made for truth in self.truths))
    @rule(
        number=channels,
        user=users,
        which=st.sampled_from(["delivered", "read"]),
        pick=st.integers(0, 200),
        where=services,
    )
    def receipt(self, number: int, user: str, which: str, pick: int, where: int) -> None:
        """A user has got as far as any message that there ever was."""
        if self.truths[number].made:
            self.run(self._receipt(self.truths[number], user, which, pick, where))

    async def _receipt(self, truth: Truth, user: str, which: str, pick: int, where: int) -> None:
        place = list(truth.made)[pick % len(truth.made)]
        path = f"/channels/{truth.channel}/receipts"
        reply = await ask(self.place.apps[where], "PUT", path, json={which: str(place), "user": user})
        if reply.status_code == 429:  # a long look at one channel
            return
        assert reply.status_code == 200, reply.text
        truth.marks[user] = truth.marks.get(user, Marks()).raised(Marks(**{which: place}))
        told = {name: parse_position(id_) if id_ else None for name, id_ in reply.json()["receipts"][user].items()}
        assert Marks(**told) == truth.marks[user], reply.text
