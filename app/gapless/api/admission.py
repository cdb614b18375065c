"""Whether somebody may read now: how often one may open and how much one may read is counted in the process."""

from __future__ import annotations

import asyncio
import math
from functools import partial

from gapless.api.dependencies import Service
from gapless.auth.grant import Grant
from gapless.auth.rates import Who, network_of
from gapless.channels.feeds import Visitor
from gapless.log.errors import Busy


def admit(service: Service, grant: Grant, address: str | None, *, opens: bool) -> Visitor:
    """Whoever reads, counted; raises Busy where it is too much. `opens`: a stream or a long poll, which stays."""
    who = Who(grant.user, network_of(address))
    if opens and (wait := service.opened.wait(who.network, service.clock())):
        raise _busy("Too many streams or long polls are opened from this address", wait)
    if wait := service.budget.wait(who, asyncio.get_running_loop().time()):
        raise _busy("This user or address reads too much", wait)
    return Visitor(who, partial(_spend, service, who))


def _spend(service: Service, who: Who, commands: float) -> None:
    service.budget.spend(who, commands, asyncio.get_running_loop().time())


def _busy(what: str, wait: float) -> Busy:
    return Busy(f"{what}; wait and come back.", wait, retryAfterMs=math.ceil(wait * 1000))
