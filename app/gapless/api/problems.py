"""The one place that turns errors into replies: `application/problem+json` (RFC 9457)."""

from __future__ import annotations

import json
import logging
import math
from collections.abc import Awaitable, Callable, Mapping, Sequence
from http import HTTPStatus
from typing import Any

from fastapi import FastAPI, Request
from fastapi.exceptions import RequestValidationError
from starlette.exceptions import HTTPException
from starlette.requests import ClientDisconnect
from starlette.responses import Response
from starlette.routing import BaseRoute, Match, Mount, Route
from starlette.types import ASGIApp, Receive, Scope, Send

from gapless.api.schemas import explain
from gapless.delivery.end import End
from gapless.delivery.retry import RETRY_UNAVAILABLE, jittered
from gapless.delivery.sse import end
from gapless.log.errors import KeysUnavailable, Refused, StoreMisconfigured, StoreUnavailable, TooMany, Unauthorized
from gapless.runtime.request import current_id

RETRY_AFTER = 2
"""Seconds after which a client may ask again when the store does not answer."""

_READING = ("GET", "HEAD")
_log = logging.getLogger("gapless.problems")


def problem(status: int, title: str, detail: str, *, headers: dict[str, str] | None = None, **extra: Any) -> Response:
    """A problem reply, with the id of its request. `extra` adds members."""
    content = {"type": "about:blank", "title": title, "status": status, "detail": detail, **extra}
    if found := current_id():
        content["requestId"] = found
    return Response(json.dumps(content, ensure_ascii=False), status, headers, "application/problem+json")


_TITLES = {kind.status: kind.title for kind in Refused.__subclasses__()} | {503: "Service unavailable"}


def _title(status: int) -> str:
    """Of our own errors where one has this status: HTTP's own phrases differ from one Python to the next."""
    return _TITLES.get(status) or HTTPStatus(status).phrase


TOKEN_PROBLEMS = {401: "This needs a token."}
"""What a route may answer that asks for a token."""
READING_PROBLEMS = {**TOKEN_PROBLEMS, 403: "This token may not read 'general'."}
"""What a route may answer that asks for a token with the right to read the channels."""
BODY_PROBLEMS = {
    400: "The body is not JSON.",
    408: "The body did not arrive within 30 seconds.",
    413: "The body is larger than GAPLESS_MAX_BODY.",
    415: "The body is not declared as JSON.",
}
"""What a route may answer that takes a body."""
STORE_PROBLEMS = {503: "The message store does not answer now."}
"""What a route may answer that asks the store."""


def describe(*tables: Mapping[int, str]) -> dict[int | str, dict[str, Any]]:
    """Problem replies as OpenAPI lists them: each status with what it means. A later table wins."""
    meanings = {status: meaning for table in tables for status, meaning in table.items()}
    return {status: _described(status, meanings[status]) for status in sorted(meanings)}


def _described(status: int, meaning: str) -> dict[str, Any]:
    example = {
        "type": "about:blank",
        "title": _title(status),
        "status": status,
        "detail": meaning,
        "requestId": "5f3a9c0d12ab34ef",
    }
    return {"description": meaning, "content": {"application/problem+json": {"example": example}}}


def explaining(message: str, random: Callable[[], float]) -> ASGIApp:
    """An app that answers every request with why the service did not start.

    Streams too, in a comment: a status would stop every open EventSource for ever, and the setting will be made.
    """

    async def app(scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http":
            return
        if scope["path"].endswith("/stream"):
            last_event = end(End.UNAVAILABLE, retry=jittered(RETRY_UNAVAILABLE, random()))
            comment = "".join(f": {line}\n" for line in message.splitlines()).encode()
            reply = Response(comment + last_event, 200, media_type="text/event-stream")
        else:
            reply = problem(503, "Service not configured", message)
        await reply(scope, receive, send)

    return app


class LastResort:
    """A defect of ours ends as a problem inside of all that adds to replies: CORS, what caches are told, the log.

    Starlette answers it outside of them, and leaves the log a status of 0. What has begun to be answered breaks off.
    """

    def __init__(self, app: ASGIApp) -> None:
        self._app = app

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Serve, or answer 500."""
        try:
            await self._app(scope, receive, send)
        except Exception:
            if scope["type"] != "http" or scope.get("gapless.status"):
                raise
            _log.exception("a request failed")
            await _failed()(scope, receive, send)


def install(app: FastAPI, routes: Sequence[BaseRoute]) -> None:
    """Every error of this tree, of FastAPI's and of Starlette's becomes a problem reply. `routes`: the app's own."""
    app.state.routes = [*routes, *app.routes]
    for kind, handler in _HANDLERS.items():
        app.add_exception_handler(kind, handler)
    app.add_exception_handler(Exception, _broken)


async def reply(request: Request, error: Exception) -> Response:
    """The reply that an error becomes, as Starlette finds it; what is a defect of ours is raised on."""
    handler = next((_HANDLERS[kind] for kind in type(error).__mro__ if kind in _HANDLERS), None)
    if handler is None:
        raise error
    found = await handler(request, error)
    error.__traceback__ = None  # it may be raised again, and would keep what each request had
    return found


async def _refused(_: Request, error: Exception) -> Response:
    assert isinstance(error, Refused)  # noqa: S101 - the handler's registration says so
    headers = {}
    if isinstance(error, Unauthorized):
        headers["WWW-Authenticate"] = "Bearer"
    if isinstance(error, TooMany):
        headers["Retry-After"] = str(max(1, math.ceil(error.retry_after)))
    return problem(error.status, error.title, error.detail, headers=headers, **error.extra)


async def _unavailable(request: Request, error: Exception) -> Response:
    assert isinstance(error, StoreUnavailable)  # noqa: S101
    _log.warning("unavailable: %s", error.detail)
    headers = {"Retry-After": str(RETRY_AFTER)}
    unknown = error.outcome_unknown and request.method not in _READING  # a read that fails has written nothing
    if isinstance(error, StoreMisconfigured):
        outcome = "unknown" if unknown else "none"
        return problem(503, "Service not configured", f"{error.detail}.", headers=headers, outcome=outcome)
    if not unknown:
        keys = isinstance(error, KeysUnavailable)
        who = "The keys that verify tokens can't be fetched" if keys else "The message store does not answer"
        detail = f"{who} now; nothing was written. Try again."
        return problem(503, "Service unavailable", detail, headers=headers, outcome="none")
    detail = "The message store did not answer in time: whether it is stored is unknown. With a localId, repeat it."
    if request.method == "DELETE":
        detail = "The message store did not answer in time: whether it is deleted is unknown. Delete it again."
    return problem(503, "Service unavailable", detail, headers=headers, outcome="unknown")


async def _invalid(_: Request, error: Exception) -> Response:
    assert isinstance(error, RequestValidationError)  # noqa: S101
    return problem(422, "Unprocessable content", explain(error.errors()))


async def _http(request: Request, error: Exception) -> Response:
    assert isinstance(error, HTTPException)  # noqa: S101
    title, headers = _title(error.status_code), dict(error.headers or {})
    detail = str(error.detail)
    if error.status_code == HTTPStatus.NOT_FOUND:
        detail = "There is nothing at this path; /docs lists what there is."
        if request.url.path.endswith("/"):
            detail = "There is nothing at this path: no path ends with a slash; /docs lists what there is."
    if error.status_code == HTTPStatus.METHOD_NOT_ALLOWED:
        headers["Allow"] = ", ".join(sorted(_methods(request)))
        detail = f"{request.method} is not for this path; it takes {headers['Allow']}."
    return problem(error.status_code, title, detail, headers=headers)


def _methods(request: Request) -> set[str]:
    """All methods of this path. Starlette names only those of the first route that matches."""
    found: set[str] = set()
    # A mount that was tried has moved the path's beginning to the root, and would not match any more.
    scope = {**request.scope, "root_path": request.scope.get("gapless.root", request.scope["root_path"])}
    for route in request.app.state.routes:
        if isinstance(route, Route | Mount) and route.matches(scope)[0] is not Match.NONE:
            found |= {"GET", "HEAD"} if isinstance(route, Mount) else route.methods or set()
    return found


async def _gone(_: Request, __: Exception) -> Response:
    """The client broke off in the middle of its body; nobody hears this but the log."""
    return problem(400, "Bad request", "The body broke off.")


_HANDLERS: dict[type[Exception], Callable[[Request, Exception], Awaitable[Response]]] = {
    Refused: _refused,
    StoreUnavailable: _unavailable,
    RequestValidationError: _invalid,
    HTTPException: _http,
    ClientDisconnect: _gone,
}


async def _broken(_: Request, error: Exception) -> Response:
    return _failed()


def _failed() -> Response:
    return problem(500, "Internal server error", "The service failed; the error is in its log.")
