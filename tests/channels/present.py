"""Who watches a board of presence, and how long each change may take."""

from __future__ import annotations

import json
from collections.abc import Callable, Coroutine
from typing import Any

from gapless.channels.presence_board import PresenceBoard
from gapless.runtime.tasks import end

SEEN, GONE, DEAD = 3.0, 21.0, 201.0
"""Seconds within which a user is seen, is gone after closing, and is gone after his process died."""


class Watcher:
    """Follows the events of a board as a client does; `events` after the first whole."""

    def __init__(self, board: PresenceBoard) -> None:
        self.board = board
        self.users: set[str] | None = None
        self.count = 0
        self.events: list[Any] = []
        board.join(self)

    def changed(self, block: bytes, now: float) -> None:
        told = json.loads(block.partition(b"data: ")[2])
        self.events.append(told)
        self.count = told["count"]
        if self.users is not None and "joined" in told:
            self.users = (self.users | set(told["joined"])) - set(told["left"])

    def anew(self) -> None:
        block = self.board.whole()
        assert block is not None
        told = json.loads(block.partition(b"data: ")[2])
        self.users = set(told["users"]) if "users" in told else None
        self.count = told["count"]


Process = Callable[[], Coroutine[Any, Any, PresenceBoard]]


async def kill(board: PresenceBoard) -> None:
    """Its process dies without a word: it asks nothing, and hears nothing, any more."""
    assert board._task is not None
    await end(board._task)
    board.take = lambda notice: None  # type: ignore[method-assign]
