"""What runs before every route: a service without keys is closed to other machines, and each request is logged.

Each request gets its id here, too, and each reply says how long it took. (docs/protocol.md, 5.6 and 5.7)
"""

from __future__ import annotations

import logging
from collections.abc import Mapping
from time import perf_counter

from starlette.datastructures import Headers
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from gapless.api.loopback import why_not_local
from gapless.api.problems import problem
from gapless.config.origins import Origins
from gapless.config.settings import Settings
from gapless.platforms.request_id import header, request_id
from gapless.runtime.request import ACCESS, RequestInfo, current

REFUSED = 400
"""The first status of a reply that refuses."""
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
_access = logging.getLogger(ACCESS)


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
    reply says nothing, the request's id, and with `timing` how long it took. A page whose origin is refused sees no
    reason in its browser; the line names it.

    A stream's body is written from here, when the request was answered with its head: see `LiveResponse`.
    """

    def __init__(self, app: ASGIApp, origins: Origins, *, platform: str = "server", timing: bool = True) -> None:
        self._app = app
        self._origins = origins
        self._platform = platform
        self._timing = timing

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Serve, then log."""
        if scope["type"] != "http":
            await self._app(scope, receive, send)
            return
        began = perf_counter()
        before, asked = current.get(), RequestInfo(request_id(scope, self._platform))
        current.set(asked)
        scope["gapless.root"] = scope.get("root_path", "")  # mounts move it

        async def watched(message: Message) -> None:
            if message["type"] == "http.response.start":
                scope["gapless.status"] = message["status"]
                message = _guarded(message, self._told(scope, asked, perf_counter() - began))
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
            _access.info("%s %s %d %.3fs id=%s%s", scope["method"], _path(scope), status, seconds, asked.id, said)
            current.set(before)  # an app that is mounted in another may run in a task that goes on

    def _told(self, scope: Scope, asked: RequestInfo, seconds: float) -> list[tuple[bytes, bytes]]:
        """What each reply says of its own request. Refusals tell no times: those who are not let in learn nothing."""
        told = [(b"x-request-id", asked.id.encode())]
        if not self._timing or scope["gapless.status"] >= REFUSED:
            return told
        told.append((b"server-timing", _timing({**asked.spent, "total": seconds})))
        if origin := header(scope, b"origin"):
            if self._origins.every:
                told.append((b"timing-allow-origin", b"*"))
            elif self._origins.names(origin):
                told.append((b"timing-allow-origin", origin.encode("latin-1")))
        return told


def _timing(spent: Mapping[str, float]) -> bytes:
    """As the header Server-Timing has it, in milliseconds."""
    return b", ".join([b"%b;dur=%.1f" % (what.encode(), seconds * 1000) for what, seconds in spent.items()])


def _let_go(scope: Scope) -> None:
    """FastAPI leaves its stacks of what was to be closed in the scope: 3 KiB for as long as a stream is open."""
    for name in [name for name in scope if name.endswith("_astack")]:
        del scope[name]


def _guarded(start: Message, told: list[tuple[bytes, bytes]]) -> Message:
    said = [name for name, _ in start["headers"]]
    return {**start, "headers": [*start["headers"], *[one for one in SECURITY_HEADERS if one[0] not in said], *told]}


def _refused(scope: Scope, origins: Origins) -> str:
    """What the log line says about a refused origin; empty if the origin may read."""
    if not any(name == b"origin" for name, _ in scope["headers"]):
        return ""
    headers = Headers(scope=scope)
    origin = headers["origin"]
    if not origin or origins.admits(origin, headers.get("host")):
        return ""
    return f" refused the origin {_printable(origin)}, which GAPLESS_ORIGINS does not name"


def _path(scope: Scope) -> str:
    return _printable(scope["path"])


def _printable(text: str) -> str:
    """One printable word of a bounded length: it comes from outside, and what follows it in the line is ours."""
    text = ascii(text)[1:-1].replace(" ", "%20")
    return text if len(text) <= MOST_LOGGED else text[:MOST_LOGGED] + "…"
