"""Who pays for a read of the log: the user whose request or stream caused it.

If several readers want the same read, the first one pays. What a feed reads for all of its readers is free.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from contextvars import ContextVar

Pay = Callable[[float], None]
"""Called with the commands that were spent."""

_paying: ContextVar[Pay | None] = ContextVar("gapless_paying", default=None)


@contextmanager
def paid_by(pay: Pay) -> Iterator[None]:
    """What is read within, also by tasks that are made within, is paid for by `pay`."""
    before = _paying.get()
    _paying.set(pay)
    try:
        yield
    finally:
        _paying.set(before)


def charge(commands: float) -> None:
    """So much was spent, for the user who pays here."""
    if (pay := _paying.get()) is not None:
        pay(commands)
