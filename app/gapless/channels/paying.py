"""Who pays for a read of the log: the user whose request or stream caused it.

If several readers want the same read, the first one pays. What a feed reads for all of its readers is free.
"""

from __future__ import annotations

from collections.abc import Callable
from contextvars import ContextVar

Pay = Callable[[float], None]
"""Called with the commands that were spent."""

_paying: ContextVar[Pay | None] = ContextVar("gapless_paying", default=None)


class paid_by:  # noqa: N801 - read as a verb
    """What is read within, also by tasks that are made within, is paid for by `pay`."""

    __slots__ = ("_before", "_pay")

    def __init__(self, pay: Pay) -> None:
        self._pay = pay

    def __enter__(self) -> None:
        self._before = _paying.get()
        _paying.set(self._pay)

    def __exit__(self, *_: object) -> None:
        _paying.set(self._before)


def charge(commands: float) -> None:
    """So much was spent, for the user who pays here."""
    if (pay := _paying.get()) is not None:
        pay(commands)
