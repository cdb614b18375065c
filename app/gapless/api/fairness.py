"""What runs before every route: a few requests of each address begin in a turn of the event loop."""

from __future__ import annotations

from functools import partial

from starlette.types import ASGIApp, Receive, Scope, Send

from gapless.api.authentication import address
from gapless.runtime.round_robin import RoundRobin

AT_ONCE = 4
"""Requests of one address that begin in a turn of the loop. What several publishers behind one address ask of Redis in
one turn shares a write, which is half of the gain with four; and four small bodies take as long as one of 16 KiB."""
ALONE = 16
"""The same where no other address has asked for a second: a backend that publishes for all its users, say."""


class TurnByTurn:
    """A client that asks on many connections at once does not hold up all others.

    `gapless.turn` in the scope waits for another turn, before what takes long: of that, one begins in each.
    """

    def __init__(self, app: ASGIApp, platform: str, proxies: int) -> None:
        self._app = app
        self._platform = platform
        self._proxies = proxies
        self._requests = RoundRobin(AT_ONCE, ALONE)
        self._long = RoundRobin(1)

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Wait for a turn, then serve."""
        if scope["type"] == "http":
            client = address(scope, self._platform, self._proxies)
            scope["gapless.turn"] = partial(self._long.turn, client)
            await self._requests.turn(client)
        await self._app(scope, receive, send)
