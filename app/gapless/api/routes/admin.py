"""What an administrator may do: list the channels, and delete one. (docs/protocol.md, section 5)"""

from __future__ import annotations

from typing import Annotated, Any

from fastapi import APIRouter, Query
from starlette.responses import Response

from gapless.api.authentication import WriterDep
from gapless.api.dependencies import ChannelPath, ServiceDep
from gapless.api.problems import STORE_PROBLEMS, TOKEN_PROBLEMS, describe
from gapless.channels.frames import timestamp

router = APIRouter(tags=["admin"])

_REFUSED = describe(
    TOKEN_PROBLEMS,
    STORE_PROBLEMS,
    {403: "This needs a token with the claim gapless.admin.", 422: "The channel's name is not one."},
)


@router.delete("/channels/{channel}", status_code=204, summary="Delete a channel", responses=_REFUSED)
async def delete(channel: ChannelPath, grant: WriterDep, service: ServiceDep) -> Response:
    """Delete a channel's log, and with it what its keys remember. Readers are told `reset`; the next message begins a
    new epoch.
    """
    grant.must_administer()
    await service.store.forget(channel)
    return Response(status_code=204)


@router.get("/channels", summary="List channels", responses=_REFUSED)
async def channels(
    grant: WriterDep,
    service: ServiceDep,
    cursor: Annotated[int, Query(ge=0, lt=2**64, description="The `next` of the page before.")] = 0,
) -> dict[str, Any]:
    """A page of channels in no order, each with its newest message's id and time, and how many are kept.

    `next` is null at the end. A page may be empty and still have a next one; a channel may come twice.
    """
    grant.must_administer()
    found, following = await service.store.channels(str(cursor))
    listed = [
        {
            "channel": one.channel,
            "messages": one.messages,
            "latest": str(one.latest.position),
            "timestamp": timestamp(one.latest.time),
        }
        for one in found
    ]
    return {"channels": listed, "next": following}
