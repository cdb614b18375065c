"""What a reader is told around messages: signals, receipts, presence. Pure. (docs/protocol.md, section 9)"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any


@dataclass(frozen=True, slots=True)
class Signalled:
    """A `signal` event."""

    channel: str
    nonce: str


Marks = tuple[str | None, str | None]
"""Ids: the furthest message that a user has, and the furthest that he has read."""


@dataclass(frozen=True, slots=True)
class Receipts:
    """A `receipt` event. `whole`: nobody else has marks."""

    channel: str
    marks: Mapping[str, Marks]
    whole: bool


@dataclass(frozen=True, slots=True)
class Present:
    """A `presence` event: everybody in `joined` where it is `whole`; None where only the number is told."""

    channel: str
    joined: tuple[str, ...] | None
    left: tuple[str, ...] = ()
    whole: bool = False


Aside = Signalled | Receipts | Present


class Known:
    """What one connection has told so far, by channel: `marks` of users, and the `users` that are there."""

    def __init__(self) -> None:
        self.marks: dict[str, dict[str, Marks]] = {}
        self.users: dict[str, set[str]] = {}

    def take(self, aside: Aside) -> None:
        """One event more."""
        channel = aside.channel
        if isinstance(aside, Receipts):
            held = {} if aside.whole else self.marks.get(channel, {})
            self.marks[channel] = held | dict(aside.marks)
        elif isinstance(aside, Present) and aside.whole:
            self.users.pop(channel, None)
            if aside.joined is not None:
                self.users[channel] = set(aside.joined)
        elif isinstance(aside, Present) and channel in self.users:
            self.users[channel] = (self.users[channel] | set(aside.joined or ())) - set(aside.left)


def read_aside(kind: str, data: Mapping[str, Any]) -> Aside | None:
    """The event of this name; None for any other. Raises what a dict raises where its data are not of the form."""
    if kind == "signal":
        return Signalled(data["channel"], data["nonce"])
    if kind == "receipt":
        marks = {user: (one["delivered"], one["read"]) for user, one in data["receipts"].items()}
        return Receipts(data["channel"], marks, data["whole"])
    if kind != "presence":
        return None
    if "joined" in data:
        return Present(data["channel"], tuple(data["joined"]), tuple(data["left"]))
    return Present(data["channel"], tuple(data["users"]) if "users" in data else None, whole=True)
