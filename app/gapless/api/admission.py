"""Decides whether a client may read now. Each process counts how often a client opens streams and how much it reads."""

from __future__ import annotations

import asyncio
import math
from functools import partial

from gapless.api.dependencies import Service
from gapless.auth.grant import Grant
from gapless.auth.rates import CommandBudget, Who, network_of
from gapless.channels.feeds import Visitor
from gapless.channels.paying import Pay
from gapless.log.errors import Busy, TooMany


def admit(service: Service, grant: Grant, address: str | None, *, opens: bool) -> Visitor:
    """Count a client that reads; raises Busy if it is too much. `opens`: a stream or a long poll, which stays."""
    who = Who(grant.user, network_of(address))
    if opens and (wait := service.opened.wait(who.network, service.clock())):
        raise _busy("Too many streams or long polls are opened from this address", wait)
    if wait := service.budget.wait(who, asyncio.get_running_loop().time()):
        raise _busy("This user or address reads too much", wait)
    return Visitor(who, partial(_spend, service.budget, who))


def admit_post(service: Service, grant: Grant, address: str | None) -> Pay:
    """What to call with the commands of a post that wrote nothing; raises TooMany where there were too many of those.

    What is written has its rate in the store. What is refused there, or known already, costs a command as well.
    """
    who = Who(grant.user, network_of(address))
    if wait := service.unwritten.due(who, asyncio.get_running_loop().time()):
        what = "Too many posts of this user or address were refused or repeated; wait and send again."
        raise TooMany(what, wait, retryAfterMs=math.ceil(wait * 1000))
    return partial(_spend, service.unwritten, who)


def _spend(budget: CommandBudget, who: Who, commands: float) -> None:
    budget.spend(who, commands, asyncio.get_running_loop().time())


def _busy(what: str, wait: float) -> Busy:
    return Busy(f"{what}; wait and come back.", wait, retryAfterMs=math.ceil(wait * 1000))
