"""Whether a client may read or publish now: what is opened, read and published in vain is counted in the process."""

from __future__ import annotations

import asyncio
import math
from collections.abc import Callable
from functools import partial

from gapless.auth.rates import CommandBudget, OpenRate, Who, network_of, subject_of
from gapless.channels.feeds import Visitor
from gapless.log.errors import Busy, TooMany
from gapless.services.publishing import Sender


class Admission:
    """`opened`: streams and long polls. `reads`: commands that reading costs. `unwritten`: those of what wrote nothing.

    `clock` tells Unix seconds. A user is the token's subject; an address is the one that the platform guarantees.
    """

    def __init__(
        self, opened: OpenRate, reads: CommandBudget, unwritten: CommandBudget, clock: Callable[[], float]
    ) -> None:
        self._opened = opened
        self._reads = reads
        self._unwritten = unwritten
        self._clock = clock

    def visitor(self, user: str | None, address: str | None, *, opens: bool) -> Visitor:
        """A reader, counted; raises Busy where it reads too much. `opens`: a stream or a long poll, which stays."""
        who = Who(user, network_of(address))
        if opens and (wait := self._opened.wait(who.network, self._clock())):
            raise _busy("Too many streams or long polls are opened from this address", wait)
        if wait := self._reads.wait(who, _now()):
            raise _busy("This user or address reads too much", wait)
        return Visitor(who, partial(_spend, self._reads, who))

    def sender(self, user: str | None, address: str | None) -> Sender:
        """A publisher; raises TooMany where too many of its posts were refused or repeated.

        What is written has its rate in the store. What is refused there, or known already, costs a command as well.
        """
        who = Who(user, network_of(address))
        if wait := self._unwritten.due(who, _now()):
            what = "Too many posts of this user or address were refused or repeated; wait and send again."
            raise TooMany(what, wait, retryAfterMs=math.ceil(wait * 1000))
        return Sender(subject_of(user, address), partial(_spend, self._unwritten, who))


def _now() -> float:
    return asyncio.get_running_loop().time()


def _spend(budget: CommandBudget, who: Who, commands: float) -> None:
    budget.spend(who, commands, _now())


def _busy(what: str, wait: float) -> Busy:
    return Busy(f"{what}; wait and come back.", wait, retryAfterMs=math.ceil(wait * 1000))
