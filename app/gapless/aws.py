"""`gapless.aws.handler`, for AWS Lambda through Mangum.

Lifespan stays off: Mangum would start and stop the app at every invocation. Clients live as long as the process and are
made with the first request. Whatever front is before the function, the app sees the path as its routes name it.
"""

from __future__ import annotations

import gc
import sys
from typing import Any
from urllib.parse import unquote

# The collector goes through all that imports make several times, an eighth of a cold start, and finds nothing.
collects = gc.isenabled()
gc.disable()
# FastAPI loads Pydantic's old version 1, a sixth of a cold start, only to refuse its models. None means: not installed.
sys.modules.setdefault("pydantic.v1", None)  # type: ignore[arg-type]

from gapless.api.late_models import import_fastapi  # noqa: E402

import_fastapi()

from mangum import Mangum  # noqa: E402
from starlette.types import ASGIApp, Receive, Scope, Send  # noqa: E402

from gapless.api.factory import serve_or_explain  # noqa: E402
from gapless.config.startup import configure_logging  # noqa: E402
from gapless.platforms.policy import LAMBDA  # noqa: E402


class _OwnPath:
    """Hands the app the path that its routes name, whatever the front has put before it."""

    def __init__(self, app: ASGIApp) -> None:
        self._app = app

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        path = own_path(scope.get("aws.event") or {}, scope.get("path", ""))
        await self._app({**scope, "path": path}, receive, send)


def own_path(event: dict[str, Any], path: str) -> str:
    """`path`, percent-decoded, without the base path of a custom domain (REST API) or a named stage (HTTP API)."""
    if event.get("resource") == "/":
        return "/"
    proxy = unquote((event.get("pathParameters") or {}).get("proxy") or "").strip("/")
    if proxy and path.rstrip("/").endswith(f"/{proxy}"):
        return path[len(path.rstrip("/")) - len(proxy) - 1 :]
    stage = (event.get("requestContext") or {}).get("stage") or "$default"
    # A REST API's path comes without its stage.
    if stage != "$default" and "version" in event and f"{path}/".startswith(f"/{stage}/"):
        return path[len(stage) + 1 :] or "/"
    return path


configure_logging()
app = serve_or_explain(LAMBDA)
handler = Mangum(
    _OwnPath(app),
    lifespan="off",
    text_mime_types=["text/", "application/json", "application/javascript", "application/problem+json"],
)
gc.freeze()  # else the first request pays for what was put off
if collects:
    gc.enable()
