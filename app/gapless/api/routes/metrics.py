"""GET /metrics: the numbers of this process, for Prometheus. (docs/operating.md)"""

from __future__ import annotations

from fastapi import APIRouter, Request
from starlette.responses import Response

from gapless.api.authentication import must_scrape
from gapless.api.dependencies import service as service_of
from gapless.log.errors import NotFound

router = APIRouter()


@router.get("/metrics", include_in_schema=False)
async def metrics(request: Request) -> Response:
    """All counters as text, in the version of the format that the client asks for."""
    shown = service_of(request).metrics
    if shown is None:
        raise NotFound("There are no metrics here: GAPLESS_METRICS turns them on, on servers alone.")
    await must_scrape(request)
    text, kind = await shown.show(request.headers.get("accept", ""))
    return Response(text, headers={"Content-Type": kind})
