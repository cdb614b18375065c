"""GET /: a plain page that shows live messages and has a box to send one; its files lie in `static/`."""

from __future__ import annotations

from pathlib import Path

from fastapi import APIRouter, FastAPI
from starlette.responses import FileResponse, Response
from starlette.staticfiles import StaticFiles

router = APIRouter()

_INDEX = Path(__file__).parent.parent / "static" / "index.html"
_HEADERS = {
    "Content-Security-Policy": "default-src 'self'; base-uri 'none'; form-action 'none'; frame-ancestors 'none'",
    "X-Content-Type-Options": "nosniff",
    "Referrer-Policy": "no-referrer",
}


@router.get("/", include_in_schema=False)
async def index() -> Response:
    """The page. Its policy allows no inline script, so that a message can't become one."""
    return FileResponse(_INDEX, headers=_HEADERS)


def mount(app: FastAPI, folder: Path) -> None:
    """Serve the page's script and style."""
    app.mount("/static", StaticFiles(directory=folder), name="static")
