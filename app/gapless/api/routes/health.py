"""GET /healthz and GET /readyz."""

from __future__ import annotations

from typing import Any

from fastapi import APIRouter, Request

from gapless.api.dependencies import ServiceDep
from gapless.api.loopback import why_not_local
from gapless.api.problems import RETRY_AFTER, describe, problem
from gapless.api.service import Service
from gapless.log.errors import Refused, StoreMisconfigured, StoreUnavailable

router = APIRouter(tags=["health"])

NOT_READY = "Nothing can be published or heard now; the service's log says why."


_REFUSED = {403: "This service has no keys, so it serves this machine only."}


@router.head("/healthz", include_in_schema=False)
@router.get("/healthz", summary="The process is up", responses=describe(_REFUSED))
async def healthz() -> dict[str, str]:
    """Answers without asking the store."""
    return {"status": "ok"}


@router.head("/readyz", include_in_schema=False)
@router.get(
    "/readyz",
    summary="Messages can be published and heard",
    responses=describe(_REFUSED, {503: "Nothing can be published or heard now."}),
)
async def readyz(request: Request, service: ServiceDep) -> Any:
    """Whether the store can be written to and heard, as of a second ago at most.

    Administrators, and on a service without keys clients on its own machine, are told more: `store`, `latencyMs`
    of the check, `scripts` and `notices` (how the store works at the moment), `commands` (how many this process has
    sent to the store since its start), the names of the `namespaces`, or why it does not.
    """
    answer, knows = await service.ready.ask(), await _may_know(request, service)
    if answer.error is None:
        told: dict[str, Any] = {
            "store": service.store.name,
            "latencyMs": round(answer.seconds * 1000, 2),
            **service.store.state(),
            "commands": service.counters.store.sent,
        }
        if service.namespaces.named:
            told["namespaces"] = list(service.namespaces.named)
        return {"status": "ok", **(told if knows else {})}
    wrong = isinstance(answer.error, StoreMisconfigured)
    title = "Service not configured" if wrong else "Service unavailable"
    detail = f"{answer.error.detail}." if knows or wrong else NOT_READY
    return problem(503, title, detail, headers={"Retry-After": str(RETRY_AFTER)})


async def _may_know(request: Request, service: Service) -> bool:
    """Whether this client may see where the store is and how it works."""
    if service.verifier is None:
        return why_not_local(request.scope, service.origins) is None
    scheme, _, token = request.headers.get("authorization", "").partition(" ")
    token = token if scheme.lower() == "bearer" else request.cookies.get("gapless_token", "")
    try:
        return bool(token) and (await service.verifier.verify(token)).admin
    except (Refused, StoreUnavailable):
        return False
