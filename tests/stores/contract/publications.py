"""Publications as the service makes them, and a listener that remembers."""

from __future__ import annotations

from collections.abc import Sequence
from itertools import count
from typing import Any

from gapless.api.schemas import Message
from gapless.log.cursor import Position, base36, new_epoch
from gapless.log.entries import Entry
from gapless.log.publication import Accepted, Outcome, Publication, Rate
from tests.stores.contract.backend import Backend, Keep
from tests.testkit.alarm import auntil

NOW = 1_767_225_600_000
"""Milliseconds since 1970: what the service's clock says unless a test says otherwise."""

_chance = count(1)


def message(data: Any = 1, local_id: str | None = None, user: str | None = None) -> Message:
    return Message(data=data, localId=local_id, user=user)


def chance(digits: int) -> str:
    """Never the same twice, as far as so many digits go."""
    return base36(next(_chance), digits)[-digits:]


def publication(
    channel: str,
    *messages: Message | int | str,
    now: int = NOW,
    key: str | None = None,
    rate: Rate | None = None,
) -> Publication:
    """Messages, or just their data, with marks and an epoch that nobody else has."""
    whole = [one if isinstance(one, Message) else message(one) for one in messages or (message(),)]
    drafts = tuple(one.draft(one.user) for one in whole)
    marks = tuple(chance(4) for _ in drafts)
    return Publication(channel, drafts, marks, new_epoch(now / 1000, chance(2)), now, key, rate)


def entries(outcome: Outcome) -> tuple[Entry, ...]:
    """What was appended; fails where nothing was."""
    assert isinstance(outcome, Accepted), outcome
    return outcome.entries


class Heard:
    """A listener. `told` are the notices, `calls` the names of all calls in order."""

    def __init__(self) -> None:
        self.told: list[Sequence[Entry] | Position] = []
        self.calls: list[str] = []
        self.asides: list[bytes] = []

    def aside(self, notice: bytes) -> None:
        self.asides.append(notice)

    def notice(self, entries: Sequence[Entry] | Position) -> None:
        self.calls.append("notice")
        self.told.append(entries)

    def all_told(self) -> None:
        pass

    def lost(self) -> None:
        self.calls.append("lost")

    def heard(self) -> None:
        self.calls.append("heard")

    @property
    def positions(self) -> list[Position]:
        """Every position told of, in order."""
        found: list[Position] = []
        for told in self.told:
            found += [told] if isinstance(told, Position) else [entry.position for entry in told]
        return found


async def calm(servers: Backend, heard: Heard) -> None:
    """What earlier tests have told on "c" has arrived and is forgotten: from node to node it may take its time."""
    topic = Keep().layout(0).topic("c")
    for server in servers.valkeys:
        server.cli("PUBLISH", topic, "!calm")
    await auntil(lambda: heard.asides.count(b"!calm") >= len(servers.valkeys), "every node has told")
    heard.asides.clear()
