"""`app.lambda_handler.handler`, for AWS Lambda through Mangum.

Lifespan stays off: Mangum would start and stop the app at every invocation. Clients live as long as the process and are
made with the first request. Whatever front is before the function, the app sees the path as its routes name it.
"""

from __future__ import annotations

import os
import sys
from typing import Any

# FastAPI loads Pydantic's old version 1, a sixth of a cold start, only to refuse its models. None means: not installed.
sys.modules.setdefault("pydantic.v1", None)  # type: ignore[arg-type]

from mangum import Mangum  # noqa: E402
from starlette.types import ASGIApp, Receive, Scope, Send  # noqa: E402

from app.factory import serve_or_explain  # noqa: E402
from app.policy import choose  # noqa: E402
from app.startup import configure_logging  # noqa: E402


class _WithoutStage:
    """An HTTP API puts the name of a named stage before the path; a REST API leaves it out."""

    def __init__(self, app: ASGIApp) -> None:
        self._app = app

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        prefix = _stage_prefix(scope.get("aws.event") or {})
        path = scope.get("path", "")
        if prefix and (path == prefix or path.startswith(prefix + "/")):
            scope = {**scope, "path": path[len(prefix) :] or "/"}
        await self._app(scope, receive, send)


def _stage_prefix(event: dict[str, Any]) -> str:
    """The stage that stands before the event's path, with its slash; empty where none does."""
    context = event.get("requestContext") or {}
    stage = context.get("stage") or "$default"
    if stage == "$default" or "version" not in event:  # a REST API's path comes without its stage
        return ""
    return f"/{stage}"


configure_logging()
app = serve_or_explain(choose(os.environ))
handler = Mangum(
    _WithoutStage(app),
    lifespan="off",
    text_mime_types=["text/", "application/json", "application/javascript", "application/problem+json"],
)
