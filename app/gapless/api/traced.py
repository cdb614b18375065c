"""The app where traces are made: FastAPI makes a span of each request, and this sees what of it is in there."""

from __future__ import annotations

from typing import Any

from opentelemetry import trace
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from gapless.api.app import GaplessApp

_QUERY, _HIDDEN = "url.query", "gapless.query"


class TracedApp(GaplessApp):
    """The span of a request never holds its query, in which a token or a ticket may be, and holds its id."""

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Serve, with a span around it where no application that we are part of has made one already."""
        if scope["type"] == "http":
            scope[_HIDDEN], scope["query_string"] = scope["query_string"], b""
            if "fastapi.telemetry" in scope:
                trace.get_current_span().set_attribute(_QUERY, "")
        await super().__call__(scope, receive, send)

    def build_middleware_stack(self) -> ASGIApp:
        return _Inside(super().build_middleware_stack())


class _Inside:
    """What runs within the span."""

    def __init__(self, app: ASGIApp) -> None:
        self._app = app

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http":
            await self._app(scope, receive, send)
            return
        scope["query_string"] = scope.pop(_HIDDEN)
        span = trace.get_current_span()

        async def named(message: Message) -> None:
            if message["type"] == "http.response.start":
                span.set_attribute("http.response.header.x-request-id", _ids(message["headers"]))
            await send(message)

        await self._app(scope, receive, named)


def _ids(headers: Any) -> list[str]:
    return [value.decode() for name, value in headers if name == b"x-request-id"]
