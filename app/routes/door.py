"""What stands before every route: who may come in at all, and one log line per request."""

from __future__ import annotations

import ipaddress
import logging
from time import perf_counter

from starlette.types import ASGIApp, Message, Receive, Scope, Send

from app.routes.problems import problem
from app.settings import Settings

_FORWARDED = frozenset({b"forwarded", b"x-forwarded-for", b"x-forwarded-host", b"x-real-ip", b"via"})
_access = logging.getLogger("gapless.access")


class Door:
    """A service without keys serves loopback only, unless GAPLESS_PUBLIC says that the world may come in.

    A request that carries a forwarding header came through a proxy: it is not local, wherever the proxy is.
    """

    def __init__(self, app: ASGIApp, settings: Settings) -> None:
        self._app = app
        self._open = settings.public or settings.keyed

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Let in, or answer 403."""
        if scope["type"] != "http" or self._open or _local(scope):
            await self._app(scope, receive, send)
            return
        detail = (
            "This service has no keys, so it serves this machine only. Set GAPLESS_PUBLIC=true to open it to everybody."
        )
        await problem(403, "Forbidden", detail)(scope, receive, send)


def _local(scope: Scope) -> bool:
    """True where the request came over loopback and through no proxy."""
    client = scope.get("client")
    if not client or any(name in _FORWARDED for name, _ in scope["headers"]):
        return False
    try:
        return ipaddress.ip_address(client[0]).is_loopback
    except ValueError:
        return False


class AccessLog:
    """One line per request when it ends; a stream's with its reason and messages. Never a query or a header."""

    def __init__(self, app: ASGIApp) -> None:
        self._app = app

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Serve, then log."""
        if scope["type"] != "http":
            await self._app(scope, receive, send)
            return
        began, status = perf_counter(), 0

        async def watched(message: Message) -> None:
            nonlocal status
            if message["type"] == "http.response.start":
                status = message["status"]
            await send(message)

        try:
            await self._app(scope, receive, watched)
        finally:
            note = scope.get("gapless.note", "")
            seconds = perf_counter() - began
            _access.info("%s %s %d %.3fs%s", scope["method"], _path(scope), status, seconds, note and f" {note}")


def _path(scope: Scope) -> str:
    """The path as one printable line: it comes from outside."""
    return ascii(scope["path"])[1:-1]
