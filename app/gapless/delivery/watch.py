"""What a reader wants to know beside the messages of a channel, and whether it was told all of it."""

from __future__ import annotations

from typing import Protocol

from gapless.channels.receipt_board import Watcher


class Board(Protocol):
    """What is known of a channel beside its messages."""

    def join(self, watcher: Watcher) -> None:
        """From now on this watcher is told."""

    def leave(self, watcher: Watcher) -> None:
        """From now on it is not."""

    def whole(self) -> bytes | None:
        """An event with all of it; None as long as it is not known."""


class WatchSink(Protocol):
    """Gets what is new on a watch. Both methods are called on the event loop and must not block or raise."""

    def beside(self, watch: Watch, block: bytes, now: float) -> None:
        """Send this event if the client keeps up; else the watch is `stale`."""

    def fall_behind(self) -> None:
        """A watch is stale: tell the whole when there is nothing else to send."""


class Watch:
    """One board of one reader. `stale`: the reader has yet to be told the whole."""

    __slots__ = ("_board", "_sink", "stale")

    def __init__(self, sink: WatchSink, board: Board) -> None:
        self._sink = sink
        self._board = board
        self.stale = True
        board.join(self)

    def changed(self, block: bytes, now: float) -> None:
        if not self.stale:
            self._sink.beside(self, block, now)

    def anew(self) -> None:
        self.stale = True
        self._sink.fall_behind()

    def take(self) -> bytes:
        """The whole, where the reader has yet to be told, and it is known; else nothing."""
        whole = self._board.whole() if self.stale else None
        if whole is None:
            return b""
        self.stale = False
        return whole

    def close(self) -> None:
        self._board.leave(self)
