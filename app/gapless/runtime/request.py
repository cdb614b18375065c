"""The request that is served now: its id, and what it has waited for. Whatever it calls can ask, a log line too."""

from __future__ import annotations

import logging
from contextvars import ContextVar
from time import perf_counter

STORE, WAIT = "store", "wait"
"""What is timed: questions to the store, and a long poll that waits for a message."""
ACCESS = "gapless.access"
"""The logger of the lines that hold their request's id themselves."""


class RequestInfo:
    """`id`: names the request in replies and logs. `spent`: seconds, by what was waited for.

    A stream holds its own for as long as it is open, so it refers to nothing.
    """

    __slots__ = ("id", "spent")

    def __init__(self, id: str) -> None:
        self.id = id
        self.spent: dict[str, float] = {}


current: ContextVar[RequestInfo | None] = ContextVar("gapless_request", default=None)
"""None outside of requests: in the tasks of feeds and subscriptions, and at the start."""


def current_id() -> str:
    """The id of the request that is served now; empty outside of requests."""
    asked = current.get()
    return "" if asked is None else asked.id


class timed:  # noqa: N801 - read as a word: `with timed(STORE):`
    """Counts what its block waits for towards the request that is served now. Outside of requests it does nothing."""

    __slots__ = ("_began", "_what")

    def __init__(self, what: str) -> None:
        self._what = what

    def __enter__(self) -> None:
        self._began = perf_counter()

    def __exit__(self, *_: object) -> None:
        if (asked := current.get()) is not None:
            asked.spent[self._what] = asked.spent.get(self._what, 0.0) + perf_counter() - self._began


class WithRequestId(logging.Filter):
    """For a handler: gives each record `request_id`, and `request`, in which our own lines end; empty where none is."""

    def filter(self, record: logging.LogRecord) -> bool:
        """Add both, and let through."""
        record.request_id = found = current_id()
        record.request = f" id={found}" if found and record.name != ACCESS else ""
        return True


LINE = "%(asctime)s %(levelname)s %(name)s: %(message)s%(request)s"
"""The form of our own lines, for a handler that has the filter."""
