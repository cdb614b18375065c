"""What runs before every route: one request of each address begins in a turn of the event loop."""

from __future__ import annotations

from functools import partial

from starlette.types import ASGIApp, Receive, Scope, Send

from gapless.api.authentication import address
from gapless.runtime.round_robin import RoundRobin


class TurnByTurn:
    """A client that asks on many connections at once does not hold up all others.

    `gapless.turn` in the scope waits for another turn, before what takes long.
    """

    def __init__(self, app: ASGIApp, platform: str, proxies: int) -> None:
        self._app = app
        self._platform = platform
        self._proxies = proxies
        self._robin = RoundRobin()

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Wait for a turn, then serve."""
        if scope["type"] == "http":
            turn = scope["gapless.turn"] = partial(self._robin.turn, address(scope, self._platform, self._proxies))
            await turn()
        await self._app(scope, receive, send)
