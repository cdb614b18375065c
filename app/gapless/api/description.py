"""GET /openapi.json: the description of the API. Everybody may ask for it, so it is made and encoded once."""

from __future__ import annotations

from functools import lru_cache
from typing import Any

from fastapi import FastAPI
from fastapi.openapi.utils import get_openapi
from pydantic_core import to_json
from starlette.requests import Request
from starlette.responses import Response

from gapless.api.schemas import Message

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
    """The description, with the model that publish reads by itself; without keys it names no tokens."""
    if not app.openapi_schema:
        schema = get_openapi(title=app.title, version=app.version, description=app.description, routes=app.routes)
        schema.setdefault("components", {}).setdefault("schemas", {})["Message"] = Message.model_json_schema()
        if not keyed:
            schema["components"].pop("securitySchemes", None)
            for operation in (one for path in schema["paths"].values() for one in path.values()):
                operation.pop("security", None)
        app.openapi_schema = schema
    return app.openapi_schema
