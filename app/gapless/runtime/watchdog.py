"""Reports an event loop that stands still: a thread writes the loop's stack and every task's place to the log.

A loop that stands still serves nobody and can't report it. The cause (a call that blocks, an endless loop, a regular
expression) is on the stack of the loop's thread at that moment, and nowhere afterwards.
"""

from __future__ import annotations

import asyncio
import logging
import sys
import threading
import traceback
from collections import Counter
from collections.abc import Iterable, Iterator
from types import FrameType
from typing import Any

STILL = 5.0
"""Seconds for which the loop may stand still."""
PARTS = 10
"""They are counted in parts: a process that was stopped as a whole (SIGSTOP, a laptop asleep) loses one part only."""
EVERY = 1.0
"""Seconds between an answer of the loop and the next question."""
MOST_TASKS = 2000
"""Tasks that are looked at: each stack is written once, with the number of tasks that wait there."""

_log = logging.getLogger("gapless.watchdog")


class Watchdog:
    """A thread that checks, again and again, that the running loop turns. Made on the loop; ends with it."""

    def __init__(self, still: float = STILL) -> None:
        self._loop = asyncio.get_running_loop()
        self._loops_thread = threading.get_ident()
        self._part = still / PARTS
        self._still = still
        self._over = threading.Event()
        self._thread = threading.Thread(target=self._run, name="gapless watchdog", daemon=True)
        self._thread.start()

    def stop(self) -> None:
        """Ask no more. Returns at once."""
        self._over.set()

    def _run(self) -> None:
        while not self._over.wait(min(EVERY, self._part * 2)):
            turned = threading.Event()
            try:
                self._loop.call_soon_threadsafe(turned.set)
            except RuntimeError:  # the loop is closed
                return
            if not self._waits(turned):
                self._tell()
                turned.wait()
                _log.error("the event loop turns again")

    def _waits(self, turned: threading.Event) -> bool:
        """Whether the loop answers in time, or nobody wants to know any more."""
        return any(turned.wait(self._part) or self._over.is_set() for _ in range(PARTS))

    def _tell(self) -> None:
        frame = sys._current_frames().get(self._loops_thread)
        _log.error("the event loop has stood still for %g s. It is here:\n%s", self._still, stack_of(frame))
        _log.error("what the tasks wait for meanwhile:\n%s", stacks_of(asyncio.all_tasks(self._loop)))


def stack_of(frame: FrameType | None) -> str:
    """The stack that ends in this frame, as a traceback prints it."""
    return "".join(traceback.format_stack(frame)) if frame is not None else "(its thread has ended)\n"


def stacks_of(tasks: Iterable[asyncio.Task[Any]]) -> str:
    """Where these tasks are: each place once, with how many are there and one of their names; the most first."""
    found: Counter[str] = Counter()
    names: dict[str, str] = {}
    for task in list(tasks)[:MOST_TASKS]:
        place = "".join(traceback.format_list(list(_places(task))))
        found[place] += 1
        names[place] = min(names.get(place, task.get_name()), task.get_name())
    return "".join(f"{count} at this place, such as {names[place]!r}:\n{place}" for place, count in found.most_common())


def _places(task: asyncio.Task[Any]) -> Iterator[traceback.FrameSummary]:
    """From a task's own coroutine down to what it waits for; `Task.get_stack` knows the first only."""
    awaited: Any = task.get_coro()
    while (frame := getattr(awaited, "cr_frame", None) or getattr(awaited, "gi_frame", None)) is not None:
        yield traceback.extract_stack(frame, limit=1)[-1]
        awaited = getattr(awaited, "cr_await", None) or getattr(awaited, "gi_yieldfrom", None)
