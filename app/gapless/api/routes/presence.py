"""Who is on a channel, and leaving it now. (docs/protocol.md, 9.8)"""

from __future__ import annotations

from fastapi import APIRouter
from starlette.responses import JSONResponse, Response

from gapless.api.asides import must_offer
from gapless.api.authentication import AddressDep, LeaverDep, ReaderDep
from gapless.api.dependencies import ChannelPath, ServiceDep, UserQuery
from gapless.api.problems import READING_PROBLEMS, STORE_PROBLEMS, describe
from gapless.api.service import Service
from gapless.auth.grant import Grant
from gapless.log.errors import Unprocessable
from gapless.log.namespaces import Feature
from gapless.log.presence import whole

router = APIRouter(tags=["around messages"])

_EXAMPLE = {"channel": "general", "users": ["ann", "bob"], "count": 2}
_REFUSED = describe(
    READING_PROBLEMS,
    STORE_PROBLEMS,
    {
        404: "'general' has no presence: it is off for its namespace.",
        422: "The channel's name is not one.",
        429: "This user or address asks too much.",
    },
)


@router.get(
    "/channels/{channel}/presence",
    summary="Read who is there",
    responses={
        200: {"description": "Who is there now.", "content": {"application/json": {"example": _EXAMPLE}}},
        **_REFUSED,
    },
)
async def get(channel: ChannelPath, service: ServiceDep, grant: ReaderDep, address: AddressDep) -> JSONResponse:
    """Users with a stream that says `presence=1`. Of more than 1,000, or 32 KiB of names, only how many they are."""
    grant.must_subscribe([channel])
    must_offer(service.namespaces, channel, Feature.PRESENCE)
    visitor = service.admission.visitor(grant.user, address, opens=False)
    living = await service.presence.all(channel, visitor)
    return JSONResponse(whole(channel, living.ends.keys(), living.count))


@router.delete("/channels/{channel}/presence", status_code=204, summary="Leave now", responses=_REFUSED)
async def delete(
    channel: ChannelPath, service: ServiceDep, grant: LeaverDep, address: AddressDep, user: UserQuery = None
) -> Response:
    """Without this a user leaves some 20 s after his last stream. One who still has a stream stays."""
    return await _leave(service, channel, grant, address, user)


@router.post("/channels/{channel}/presence/leave", status_code=204, summary="Leave now", responses=_REFUSED)
async def leave(
    channel: ChannelPath, service: ServiceDep, grant: LeaverDep, address: AddressDep, user: UserQuery = None
) -> Response:
    """The same for `navigator.sendBeacon`: what the body holds is not read."""
    return await _leave(service, channel, grant, address, user)


async def _leave(service: Service, channel: str, grant: Grant, address: str | None, user: str | None) -> Response:
    grant.must_subscribe([channel])
    must_offer(service.namespaces, channel, Feature.PRESENCE)
    named = user if grant.user is None else grant.user
    if named is None:
        raise Unprocessable("user: needed where there are no tokens.")
    await service.presence.leave(channel, named, service.admission.sender(grant.user, address))
    return Response(status_code=204)
