"""GET /healthz and GET /readyz."""

from __future__ import annotations

from time import perf_counter
from typing import Any

from fastapi import APIRouter

from app.routes.deps import ServiceDep
from app.routes.problems import describe

router = APIRouter(tags=["health"])


@router.get("/healthz", summary="The process is up")
async def healthz() -> dict[str, str]:
    """Answers without asking the store."""
    return {"status": "ok"}


@router.get("/readyz", summary="The store answers", responses=describe(503, "The message store does not answer now."))
async def readyz(service: ServiceDep) -> dict[str, Any]:
    """Asks the store: `latencyMs` is what that took, `scripts` and `notices` say how the store works at the moment."""
    began = perf_counter()
    await service.store.ping()
    latency = round((perf_counter() - began) * 1000, 2)
    return {"status": "ok", "store": service.store.name, "latencyMs": latency, **service.store.state()}
