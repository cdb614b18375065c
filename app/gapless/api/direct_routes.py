"""Routes that are asked for most: FastAPI describes them, and nothing of it stands between a request and its function.

(docs/decisions, 15)
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Callable, Coroutine, Sequence
from typing import Any

from fastapi import Request
from fastapi.routing import APIRoute
from starlette.responses import Response
from starlette.routing import BaseRoute, Match
from starlette.types import ASGIApp, Receive, Scope, Send

from gapless.api import problems

Handler = Callable[[Request], Coroutine[Any, Any, Response]]


class DirectRoute(APIRoute):
    """A route whose function takes the request, reads it by itself, and returns a response."""

    def get_route_handler(self) -> Handler:
        """FastAPI resolves nothing for it."""
        handler: Handler = self.endpoint
        return handler


class DirectRoutes:
    """Answers them before the layers of Starlette and FastAPI, which would find nothing to do.

    All else goes on to the app; so do these where FastAPI's own tracing wants to see the request.
    """

    def __init__(self, app: ASGIApp, routes: Sequence[BaseRoute]) -> None:
        self._app = app
        self._by_method: dict[str, list[tuple[DirectRoute, Handler]]] = defaultdict(list)
        for route in routes:
            if isinstance(route, DirectRoute):
                for method in route.methods or ():
                    self._by_method[method].append((route, route.get_route_handler()))

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Answer, or hand on."""
        handler = self._find(scope)
        if handler is None:
            await self._app(scope, receive, send)
            return
        request = Request(scope, receive)
        try:
            response = await handler(request)
        except Exception as error:
            response = await problems.reply(request, error)
        await response(scope, receive, send)

    def _find(self, scope: Scope) -> Handler | None:
        """What answers this request; the scope then holds what Starlette's router writes there."""
        if scope["type"] != "http" or scope.get("fastapi.telemetry") is not None:
            return None
        for route, handler in self._by_method.get(scope["method"], ()):
            matched, found = route.matches(scope)
            if matched is Match.FULL:
                scope.update(found)
                return handler
        return None
