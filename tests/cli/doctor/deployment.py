"""A service in this loop, in whatever wrong way a test wants it."""

from __future__ import annotations

import time
from contextlib import asynccontextmanager
from typing import TYPE_CHECKING, Any

from gapless.api.factory import create_app
from gapless.config.settings import Settings
from gapless.platforms.policy import SERVER
from tests.testkit.doctor import ORIGIN
from tests.testkit.forge import SECRET
from tests.testkit.lambda_runtime.loopback import listening

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Callable

    from starlette.types import ASGIApp, Receive, Scope, Send


@asynccontextmanager
async def deployed(
    redis_url: str,
    *,
    ahead: float = 0.0,
    before: Callable[[ASGIApp], ASGIApp] = lambda app: app,
    **settings: Any,
) -> AsyncIterator[str]:
    """Its URL. `ahead`: seconds by which its clock is wrong; `before`: what stands before it."""
    given = {"jwt_secret": SECRET, "origins": (ORIGIN,), "linger": 0.0, **settings}
    app = create_app(Settings(redis_url=redis_url, **given), SERVER, clock=lambda: time.time() + ahead)
    async with app.router.lifespan_context(app), listening(before(app)) as (port,):
        yield f"http://127.0.0.1:{port}"


def repeating(app: ASGIApp) -> ASGIApp:
    """A front that sends each POST again, as if the first answer had been lost."""

    async def front(scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http" or scope["method"] != "POST":
            await app(scope, receive, send)
            return
        body, more = b"", True
        while more:
            message = await receive()
            body, more = body + message.get("body", b""), message.get("more_body", False)

        async def again() -> dict[str, Any]:
            return {"type": "http.request", "body": body, "more_body": False}

        async def lost(message: Any) -> None:
            """Nobody hears the first answer."""

        for answer in (lost, send):
            await app({**scope, "state": {}}, again, answer)

    return front
