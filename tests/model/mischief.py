"""What nobody asks for: failovers, wipes, and notices that are late or come from somebody else."""

from __future__ import annotations

import itertools
from typing import TYPE_CHECKING

from hypothesis import strategies as st
from hypothesis.stateful import precondition, rule

from gapless.log.cursor import base36
from tests.model.life import Life, channels

if TYPE_CHECKING:
    from gapless.log.cursor import Position
    from gapless.log.entries import Entry
    from tests.model.truth import Truth


class Mischief(Life):
    """Behind the service's back, but for `forget`."""

    def __init__(self) -> None:
        super().__init__()
        self._marks = itertools.count()

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
        """By an administrator: with word of it."""
        self.run(self._forget(self.truths[number]))

    async def _forget(self, truth: Truth) -> None:
        await self.store.forget(truth.channel)
        truth.forget()

    @rule(number=channels)
    def silence(self, number: int) -> None:
        """Subscriptions are lost, and come back: no stream ends for it."""
        self.run(self._silence(self.truths[number]))

    async def _silence(self, truth: Truth) -> None:
        self.place.hands.silence(truth.channel)

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
