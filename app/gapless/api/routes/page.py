"""GET /: a page that shows live messages and can send one. GET /docs. Their files are in `web/`.

The pages name every file relative to themselves, so that they work below any path that a proxy removes.
"""

from __future__ import annotations

from importlib.util import find_spec
from pathlib import Path
from typing import Any

from fastapi import APIRouter, FastAPI
from starlette.responses import FileResponse, Response
from starlette.staticfiles import StaticFiles

router = APIRouter()

_WEB = Path(__file__).parents[2] / "web"
_SWAGGER = ("fastapi_swagger", "resources")
"""The package, and its folder, that holds Swagger UI; never imported. Where it is not installed, /docs is a list."""

# Their files are asked for again each time, and answered 304 unless a newer version brought others.
_CACHE = {"Cache-Control": "no-cache"}
_POLICY = "default-src 'self'; base-uri 'none'; form-action 'none'; frame-ancestors 'none'"
# Swagger UI has its pictures in its style sheet.
_DOCS_POLICY = f"{_POLICY}; img-src 'self' data:"


@router.head("/", include_in_schema=False)
@router.get("/", include_in_schema=False)
async def index() -> Response:
    """The page. Its policy allows no inline script, so that a message can't become one."""
    return FileResponse(_WEB / "index.html", headers={**_CACHE, "Content-Security-Policy": _POLICY})


@router.head("/docs", include_in_schema=False)
@router.get("/docs", include_in_schema=False)
async def docs() -> Response:
    """Swagger UI over /openapi.json, from our own files: it runs in the origin in which the cookie may write."""
    return FileResponse(_WEB / "docs.html", headers={**_CACHE, "Content-Security-Policy": _DOCS_POLICY})


def mount(app: FastAPI) -> None:
    """Serve the pages' scripts, styles and pictures."""
    app.mount("/static", _Files(directory=_WEB, packages=[_SWAGGER] if find_spec(_SWAGGER[0]) else None))


class _Files(StaticFiles):
    """Files that browsers may cache; no other reply may be cached."""

    def file_response(self, *args: Any, **kwargs: Any) -> Response:
        """As Starlette's; a 304 says so too."""
        response = super().file_response(*args, **kwargs)
        response.headers.update(_CACHE)
        return response
