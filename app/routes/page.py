"""GET /: a plain page that shows live messages and has a box to send one; its files lie in `static/`. GET /docs."""

from __future__ import annotations

import base64
import hashlib
import re
from functools import cache
from pathlib import Path

from fastapi import APIRouter, FastAPI
from fastapi.openapi.docs import get_swagger_ui_html
from starlette.responses import FileResponse, HTMLResponse, Response
from starlette.staticfiles import StaticFiles

router = APIRouter()

_INDEX = Path(__file__).parent.parent / "static" / "index.html"
_POLICY = "default-src 'self'; base-uri 'none'; form-action 'none'; frame-ancestors 'none'"


@router.get("/", include_in_schema=False)
async def index() -> Response:
    """The page. Its policy allows no inline script, so that a message can't become one."""
    return FileResponse(_INDEX, headers={"Content-Security-Policy": _POLICY})


@router.get("/docs", include_in_schema=False)
async def docs() -> Response:
    """FastAPI's page over /openapi.json."""
    content, policy = _docs()
    return HTMLResponse(content, headers={"Content-Security-Policy": policy})


@cache
def _docs() -> tuple[str, str]:
    """The page, and a policy that lets run the one script in it and those it names, by hash and by address."""
    content = bytes(get_swagger_ui_html(openapi_url="openapi.json", title="Gapless").body).decode()
    elsewhere = sorted(set(re.findall(r'(?:src|href)="(https://[^"]+)"', content)))
    scripts = [one for one in elsewhere if one.endswith(".js")]
    scripts += [_hashed(inline) for inline in re.findall(r"<script>(.*?)</script>", content, re.DOTALL)]
    sources = {
        "default-src": ["'none'"],
        "connect-src": ["'self'"],
        "script-src": scripts,
        # Swagger UI sets styles from its script.
        "style-src": ["'unsafe-inline'", *(one for one in elsewhere if one.endswith(".css"))],
        "img-src": ["data:", *(one for one in elsewhere if one.endswith(".png"))],
        "frame-ancestors": ["'none'"],
    }
    return content, "; ".join(f"{name} {' '.join(values)}" for name, values in sources.items())


def _hashed(inline: str) -> str:
    """The source expression that allows exactly this inline script."""
    return f"'sha256-{base64.b64encode(hashlib.sha256(inline.encode()).digest()).decode()}'"


def mount(app: FastAPI, folder: Path) -> None:
    """Serve the page's script and style."""
    app.mount("/static", StaticFiles(directory=folder), name="static")
