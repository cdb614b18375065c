"""The writer of the demo at /run: it types a text into a channel, as a function writes what a model answers.

There is no model. Everything else is as it would be with one, and may be copied:

- The request that starts a run is the run. Nothing goes on behind a reply, where a function may be frozen.
- Words are gathered for a moment, so that a message costs its commands for several of them.
- Each message has a `localId`: one that is written again, because its reply was lost, is there once.
- The channel holds nothing but the run. So a number that is not the next one says that somebody else has written, and
  the run is over. That costs no read.
"""

from __future__ import annotations

import asyncio
import contextlib
import re
from collections.abc import Iterator
from typing import Any, Protocol

from gapless.log.cursor import Position, parse_position
from gapless.log.errors import Busy, Conflict

CHANNEL = "run:"
"""What the name of a run's channel begins with."""
USER = "run"
"""Who writes every message of a run, so that its `finish` is the same message whoever sends it."""
MOST = 8
"""Runs at once in a process."""
SECONDS = 60.0
"""The longest run, where the store is slow."""
PAUSE = 0.3
"""Seconds for which words are gathered."""
WORDS = 3
"""Words that come meanwhile."""

QUESTION = "Why do streams break, and what helps?"
ANSWER = """\
Every stream ends one day. A function reaches its time limit, a proxy loses patience, a phone enters a tunnel, a \
laptop is shut. None of this is an error. It is the weather of the web.

So do not try to keep a stream open for ever. Write each message into a log before anybody is told of it, and give it \
a number. A reader keeps the number of the last message that it has seen. After every break it asks for what came \
later, and gets all of it, once, in order.

The same holds for an answer like this one. It is not kept in this page, nor in the process that writes it. Each few \
words are a message in a channel. Reload now: the page reads what was written so far, and goes on. Open a second \
window: both show the same. Press Stop in one, and both stop.

And if the writer dies, nobody waits for ever. After some seconds without a word a reader asks the log itself, and \
writes down that the run is over. The log keeps the first such line only, so that all readers agree.

Break it, as often as you like. Nothing is lost."""


class Written(Protocol):
    """What is known of a message that was published."""

    @property
    def id(self) -> str: ...
    @property
    def duplicate(self) -> bool: ...


class Publish(Protocol):
    """`GaplessApp.publish`."""

    async def __call__(self, channel: str, data: Any, *, event: str, user: str, local_id: str) -> Written: ...


class Typewriter:
    """Types into channels, for one process."""

    def __init__(self) -> None:
        self._running = 0

    async def run(self, channel: str, publish: Publish) -> None:
        """Type the whole text; return when it is over, whatever ended it. A run that was begun already stays as it is.

        Raises Busy where too many run, and what `publish` raises.
        """
        if self._running >= MOST:
            raise Busy(f"{MOST} runs are under way here, and more are not begun. Wait a moment.", PAUSE * 20)
        self._running += 1
        try:
            with contextlib.suppress(TimeoutError):
                async with asyncio.timeout(SECONDS):
                    await _write(channel, publish)
        finally:
            self._running -= 1


async def _write(channel: str, publish: Publish) -> None:
    begun = await publish(channel, {"question": QUESTION}, event="start", user=USER, local_id="start")
    if begun.duplicate:
        return
    last = begun.id
    for number, words in enumerate(pieces(ANSWER)):
        await asyncio.sleep(PAUSE)
        piece = {"text": "".join(words), "tokens": len(words)}
        sent = await publish(channel, piece, event="text", user=USER, local_id=f"text {number}")
        if not _is_next(last, sent.id):
            return
        last = sent.id
    with contextlib.suppress(Conflict):  # it was ended otherwise a moment ago
        await publish(channel, {"reason": "done"}, event="finish", user=USER, local_id="finish")


def pieces(text: str) -> Iterator[tuple[str, ...]]:
    """The words of a text as they come, each with the space behind it. Joined they are the text."""
    words = re.findall(r"\S+\s*", text)
    for start in range(0, len(words), WORDS):
        yield tuple(words[start : start + WORDS])


def _is_next(before: str, after: str) -> bool:
    one, two = parse_position(before), parse_position(after)
    return one is not None and two == Position(one.epoch, one.seq + 1, two.mark if two else "")
