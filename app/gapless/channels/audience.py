"""The readers of one channel, and the one place from which each message is handed to all of them.

`clock`: Unix seconds, asked only where `counters` measures how late messages are.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Protocol

from gapless.channels.frames import Frame, first_that_fit
from gapless.log.cursor import Position
from gapless.log.entries import Gap
from gapless.log.store import Room
from gapless.runtime.counters import Counters

CHUNK = 65_536
"""Bytes that a stream sends at once, or one message: more do not wait for each other."""
_ROOM = Room(CHUNK, CHUNK)

FEW = 16
"""Readers who are told in about 0.1 ms, and so before anything else, such as the answer to the message's publisher."""


class Reader(Protocol):
    """A live reader. All methods are called on the event loop and must not block or raise."""

    position: Position

    def push(self, frames: Sequence[Frame], block: bytes, now: float) -> None:
        """These frames come next, all of them as one chunk in `block`. A reader without room asks the feed later."""

    def aside(self, block: bytes, now: float) -> None:
        """An event that is no message, and moves no position. A reader that does not keep up need not be told."""

    def rewind(self, gap: Gap) -> None:
        """History was rewritten behind you: tell of the gap and go on from its `resume`."""

    def wake(self) -> None:
        """The feed goes on elsewhere, or failed: ask it for what comes next, or why nothing will."""


class Audience:
    """The readers of a channel, in the order in which they came. Any of them may leave while it is told something."""

    def __init__(self, counters: Counters | None = None, clock: Callable[[], float] | None = None) -> None:
        self.counters = counters or Counters()
        self._clock = clock
        self._readers: dict[Reader, None] = {}

    def __len__(self) -> int:
        return len(self._readers)

    def join(self, reader: Reader) -> None:
        """From now on this reader is told."""
        self._readers[reader] = None

    def leave(self, reader: Reader) -> None:
        """From now on it is not."""
        self._readers.pop(reader, None)

    def push(self, frames: Sequence[Frame], now: float) -> None:
        """Join the frames once, and hand them to every reader, as many at a time as a stream sends at once."""
        if self.counters.measures and self._readers and self._clock is not None:
            self.counters.delayed(self._clock(), [frame.time for frame in frames])
        while frames:
            part = first_that_fit(frames, _ROOM)
            block = part[0].block if len(part) == 1 else b"".join([frame.block for frame in part])
            for reader in tuple(self._readers):
                reader.push(part, block, now)
            frames = frames[len(part) :]

    def aside(self, block: bytes, now: float) -> None:
        """Hand an event that is no message to every reader."""
        for reader in tuple(self._readers):
            reader.aside(block, now)

    def wake(self, new: Sequence[Frame] = ()) -> None:
        """Each reader asks the feed by itself. `new`: what was read that no notice had proven."""
        for reader in tuple(self._readers):
            reader.wake()

    def positions(self) -> list[tuple[Reader, Position]]:
        """Where each of them stands now."""
        return [(reader, reader.position) for reader in self._readers]


MakeAudience = Callable[[Counters, Callable[[], float]], Audience]
"""Makes the audience of one channel. The second argument tells Unix seconds."""
