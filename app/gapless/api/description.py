"""GET /openapi.json: the description of the API. Everybody may ask for it, so it is made and encoded once."""

from __future__ import annotations

from functools import lru_cache
from typing import Any

from fastapi import FastAPI
from fastapi.openapi.utils import get_openapi
from fastapi.routing import APIRoute
from pydantic_core import to_json
from starlette.requests import Request
from starlette.responses import Response

from gapless.api.authentication import SCHEMES, accepted
from gapless.api.by_hand import components

_MOST_PATHS = 8
"""Paths below which the service is reached, and for each of which a description is kept."""


def install(app: FastAPI, *, keyed: bool) -> None:
    """Serve it. `keyed`: the service asks for tokens."""
    app.openapi = lambda: _description(app, keyed)  # type: ignore[method-assign]

    @lru_cache(_MOST_PATHS)
    def encoded(root: str) -> bytes:
        schema = app.openapi()
        return to_json({**schema, "servers": [{"url": root}]} if root else schema)

    async def description(request: Request) -> Response:
        root = str(request.scope.get("root_path", "")).rstrip("/")
        return Response(encoded(root), media_type="application/json")

    app.add_route("/openapi.json", description, include_in_schema=False)


def _description(app: FastAPI, keyed: bool) -> dict[str, Any]:
    """The description, with the models that routes read by hand; without keys it names no tokens."""
    if not app.openapi_schema:
        schema = get_openapi(title=app.title, version=app.version, description=app.description, routes=app.routes)
        for kind, found in components().items():
            schema.setdefault("components", {}).setdefault(kind, {}).update(found)
        for route in app.routes:
            if isinstance(route, APIRoute) and route.include_in_schema:
                for method in route.methods or ():
                    _secure(schema["paths"][route.path_format][method.lower()], route, keyed)
        if keyed:
            schema["components"]["securitySchemes"] = SCHEMES
        app.openapi_schema = schema
    return app.openapi_schema


def _secure(operation: dict[str, Any], route: APIRoute, keyed: bool) -> None:
    """Say which tokens it takes, where the service asks for any."""
    found = operation.pop("security", None) or [
        scheme for one in route.dependant.dependencies for scheme in accepted(one.call)
    ]
    if keyed and found:
        operation["security"] = found
