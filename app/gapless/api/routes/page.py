"""GET /: a chat. GET /run: a text that is written while it is read. GET /docs. Their files are in `web/`.

The pages name every file relative to themselves, so that they work below any path that a proxy removes.
"""

from __future__ import annotations

from fastapi import APIRouter, FastAPI, Request
from starlette.responses import FileResponse, HTMLResponse, Response
from starlette.routing import Route

from gapless.api import page_files
from gapless.api.page_files import WEB
from gapless.api.static_files import NO_CACHE, WebFiles

_POLICY = "default-src 'self'; base-uri 'none'; form-action 'none'; frame-ancestors 'none'"
# Swagger UI has its pictures in its style sheet.
_DOCS_POLICY = f"{_POLICY}; img-src 'self' data:"


async def index(_: Request) -> Response:
    """The page. Its policy allows no inline script, so that a message can't become one."""
    return _page("index.html")


async def run(_: Request) -> Response:
    """The page of one run. Its policy is the first page's."""
    return _page("run.html")


async def docs(_: Request) -> Response:
    """Swagger UI over /openapi.json, from our own files: it runs in the origin in which the cookie may write."""
    return FileResponse(WEB / "docs.html", headers={**NO_CACHE, "Content-Security-Policy": _DOCS_POLICY})


def _page(name: str) -> Response:
    return HTMLResponse(page_files.page(name), headers={**NO_CACHE, "Content-Security-Policy": _POLICY})


router = APIRouter(routes=[Route("/", index), Route("/run", run), Route("/docs", docs)])  # GET means HEAD, too


def mount(app: FastAPI, *, compress: bool) -> None:
    """Serve the browser client, and the pages' scripts, styles and pictures."""
    app.mount("/static", WebFiles(compress=compress))
