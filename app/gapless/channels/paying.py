"""Who pays for what is read of the log: whoever's request or stream makes the store be asked.

A read that several want is paid for by the first; what a feed reads for all of its readers, by nobody.
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
    """So much was spent, for whoever pays here."""
    if (pay := _paying.get()) is not None:
        pay(commands)
