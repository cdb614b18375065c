"""A reader's place in one channel, and the laws for every message and every gap it gets."""

from __future__ import annotations

import json
from collections import Counter
from typing import TYPE_CHECKING, Any

from gapless.log.cursor import Position, parse_position

if TYPE_CHECKING:
    from tests.model.truth import Truth

seen: Counter[str] = Counter()
"""What has come, over all histories: so that nobody takes a test for strong in which nothing happened."""


class Follower:
    """`place` None: not known yet."""

    def __init__(self, truth: Truth) -> None:
        self.truth = truth
        self.place: Position | None = None
        self.since_gap: list[Position] = []
        self.story: list[str] = []

    def hello(self, told: str) -> None:
        """It begins here; after a reconnect, where it was."""
        place = parse_position(told)
        self.story.append(f"hello {told}")
        assert place is not None, told
        assert self.place in (None, place), self.explain(f"greeted at {told}")
        self.place = place

    def message(self, told: dict[str, Any]) -> None:
        """It follows the one before, and is what was published."""
        self.story.append(f"message {told['id']}")
        place = parse_position(told["id"])
        assert place is not None, told
        entry = self.truth.made.get(place)
        assert entry is not None, self.explain(f"{place} was never published")
        body = json.loads(entry.body)
        assert {name: told[name] for name in body} == body, self.explain(f"{told} is not {body}")
        assert self.place is not None
        first = self.place.nowhere and place.seq == 1
        assert first or entry.before == self.place, self.explain(f"{place} does not follow {self.place}")
        self.place = place
        self.since_gap.append(place)
        seen["message"] += 1

    def gap(self, told: dict[str, Any], resume: str) -> None:
        """It is true; from `resume` it goes on."""
        self.story.append(f"gap {told}, on from {resume}")
        seen[f"gap {told['reason']}"] += 1
        after = parse_position(resume)
        assert after is not None, self.explain(f"{told} leads to {resume}")
        if told["reason"] == "trimmed":
            assert self.place is not None
            before = 0 if self.place.nowhere else self.place.seq
            assert told["missed"] == after.seq - before > 0, self.explain(f"{told} from {before} on to {after}")
        elif told["reason"] == "reset":
            assert self.place is not None
            assert self.truth.is_gone(self.place), self.explain(f"{told}, but {self.place} was never lost")
        else:
            assert self.place is None, self.explain(str(told))
        self.place, self.since_gap = after, []

    def judge(self) -> None:
        """All is quiet: it has everything, and nothing that is gone."""
        assert self.truth.at_end(self.place), self.explain(f"not at the end, {self.truth.end}")
        lost = self.truth.gone.intersection(self.since_gap)
        assert not lost, self.explain(f"{lost} are not in the log, and nobody said so")

    def explain(self, what: str) -> str:
        """What this reader went through."""
        return "\n".join([f"{self.truth.channel}: {what}; at {self.place}", *self.story[-20:]])
