"""What runs before every route: a service without keys is closed to other machines, and each request is logged."""

from __future__ import annotations

import logging
from time import perf_counter

from starlette.datastructures import Headers
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from gapless.api.loopback import why_not_local
from gapless.api.problems import problem
from gapless.config.origins import Origins
from gapless.config.settings import Settings

MOST_LOGGED = 200
"""Characters of a path or an origin that are logged."""

UNKEYED = (
    "no keys, so this machine only. A proxy on it that adds no header (nginx's bare proxy_pass) or a tunnel would let "
    "in every client that reaches it: before you run one, set GAPLESS_JWT_SECRET"
)
# No reply is anything but what it says it is, is a frame, runs anything, or tells another site where one came from.
# None is kept by a cache, on the way or in a browser, unless it says so itself: what one may read, others may not.
SECURITY_HEADERS = (
    (b"cache-control", b"no-store"),
    (b"content-security-policy", b"default-src 'none'; frame-ancestors 'none'"),
    (b"x-content-type-options", b"nosniff"),
    (b"referrer-policy", b"no-referrer"),
)
_access = logging.getLogger("gapless.access")


class LoopbackOnly:
    """A service without keys answers this machine only, unless GAPLESS_PUBLIC opens it to everybody."""

    def __init__(self, app: ASGIApp, settings: Settings) -> None:
        self._app = app
        self._open = settings.public or settings.keyed
        self._origins = Origins(settings.origins)

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Let in, or answer 403 and say why."""
        why = None if self._open or scope["type"] != "http" else why_not_local(scope, self._origins)
        if why is None:
            await self._app(scope, receive, send)
            return
        detail = (
            f"This service has no keys, so it serves this machine only, and {why}. Set GAPLESS_JWT_SECRET to ask for "
            "tokens, or GAPLESS_PUBLIC=true to open it to everybody."
        )
        await problem(403, "Forbidden", detail)(scope, receive, send)


class AccessLog:
    """One line per request when it ends; a stream's with its reason and messages. Never a query or a header.

    It sees every reply begin, so it also adds what browsers and caches are told of each: `SECURITY_HEADERS`, where the
    reply says nothing. A page whose origin is refused sees no reason in its browser; the line names it.

    A stream's body is written from here, when the request was answered with its head: see `LiveResponse`.
    """

    def __init__(self, app: ASGIApp, origins: Origins) -> None:
        self._app = app
        self._origins = origins

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Serve, then log."""
        if scope["type"] != "http":
            await self._app(scope, receive, send)
            return
        began = perf_counter()
        scope["gapless.root"] = scope.get("root_path", "")  # mounts move it

        async def watched(message: Message) -> None:
            if message["type"] == "http.response.start":
                scope["gapless.status"] = message["status"]
                message = _guarded(message)
            await send(message)

        try:
            await self._app(scope, receive, watched)
            if (body := scope.pop("gapless.body", None)) is not None:
                _let_go(scope)
                await body(scope, receive, send)
        finally:
            note, status = scope.get("gapless.note", ""), scope.get("gapless.status", 0)
            seconds = perf_counter() - began
            said = (note and f" {note}") + _refused(scope, self._origins)
            _access.info("%s %s %d %.3fs%s", scope["method"], _path(scope), status, seconds, said)


def _let_go(scope: Scope) -> None:
    """FastAPI leaves its stacks of what was to be closed in the scope: 3 KiB for as long as a stream is open."""
    for name in [name for name in scope if name.endswith("_astack")]:
        del scope[name]


def _guarded(start: Message) -> Message:
    said = {name for name, _ in start["headers"]}
    return {**start, "headers": [*start["headers"], *(header for header in SECURITY_HEADERS if header[0] not in said)]}


def _refused(scope: Scope, origins: Origins) -> str:
    """What the log line says about a refused origin; empty if the origin may read."""
    headers = Headers(scope=scope)
    origin = headers.get("origin")
    if not origin or origins.admits(origin, headers.get("host")):
        return ""
    return f" refused the origin {_printable(origin)}, which GAPLESS_ORIGINS does not name"


def _path(scope: Scope) -> str:
    return _printable(scope["path"])


def _printable(text: str) -> str:
    """One printable word of a bounded length: it comes from outside, and what follows it in the line is ours."""
    text = ascii(text)[1:-1].replace(" ", "%20")
    return text if len(text) <= MOST_LOGGED else text[:MOST_LOGGED] + "…"
