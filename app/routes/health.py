"""GET /healthz and GET /readyz."""

from __future__ import annotations

from time import perf_counter
from typing import Any

from fastapi import APIRouter

from app.errors import StoreMisconfigured, StoreUnavailable
from app.routes.deps import ServiceDep
from app.routes.problems import RETRY_AFTER, describe, problem

router = APIRouter(tags=["health"])


_REFUSED = describe(403, "This service has no keys, so it serves this machine only.")


@router.head("/healthz", include_in_schema=False)
@router.get("/healthz", summary="The process is up", responses=_REFUSED)
async def healthz() -> dict[str, str]:
    """Answers without asking the store."""
    return {"status": "ok"}


@router.head("/readyz", include_in_schema=False)
@router.get(
    "/readyz",
    summary="The store answers",
    responses={**_REFUSED, **describe(503, "The message store does not answer now.")},
)
async def readyz(service: ServiceDep) -> Any:
    """Asks the store: `latencyMs` is what that took, `scripts` and `notices` say how the store works at the moment."""
    began = perf_counter()
    try:
        await service.store.ping()
    except StoreMisconfigured:
        raise
    except StoreUnavailable as error:  # the only place that says why: whoever looks here can do something about it
        return problem(503, "Service unavailable", f"{error.detail}.", headers={"Retry-After": str(RETRY_AFTER)})
    latency = round((perf_counter() - began) * 1000, 2)
    return {"status": "ok", "store": service.store.name, "latencyMs": latency, **service.store.state()}
