"""PUT and GET /channels/{channel}/receipts: how far each user has got. (docs/protocol.md, 9.7)"""

from __future__ import annotations

from typing import Any

from fastapi import APIRouter
from starlette.responses import JSONResponse

from gapless.api.asides import ReceiptRequest, must_offer, read_receipt
from gapless.api.authentication import AddressDep, ReaderDep, WriterDep
from gapless.api.by_hand import described
from gapless.api.dependencies import BodyDep, ChannelPath, ServiceDep
from gapless.api.problems import BODY_PROBLEMS, READING_PROBLEMS, STORE_PROBLEMS, describe
from gapless.log.namespaces import Feature
from gapless.log.receipts import told

router = APIRouter(tags=["around messages"])

_ID = "t9x2k0ab-42-7qd1"
_MARKS = {"channel": "general", "receipts": {"ann": {"delivered": _ID, "read": _ID}}, "whole": False}
_OFF = {404: "'general' has no receipts: they are off for its namespace."}
_REQUEST = {
    "required": True,
    "content": {
        "application/json": {
            "schema": described(ReceiptRequest),
            "examples": {"read": {"value": {"read": _ID, "user": "ann"}}},
        }
    },
}


def _shown(example: dict[str, Any], meaning: str) -> dict[int | str, dict[str, Any]]:
    return {200: {"description": meaning, "content": {"application/json": {"example": example}}}}


@router.put(
    "/channels/{channel}/receipts",
    summary="Say how far a user has got",
    openapi_extra={"requestBody": _REQUEST},
    responses={
        **_shown(_MARKS, "The user's marks as they hold now."),
        **describe(
            READING_PROBLEMS,
            BODY_PROBLEMS,
            STORE_PROBLEMS,
            _OFF,
            {422: "Send delivered, read, or both.", 429: "Too many receipts of this user."},
        ),
    },
)
async def put(
    channel: ChannelPath, service: ServiceDep, grant: WriterDep, raw: BodyDep, address: AddressDep
) -> JSONResponse:
    """Marks only go up; what is read is delivered, too. Streams with `receipts=1` are told."""
    grant.must_subscribe([channel])
    must_offer(service.namespaces, channel, Feature.RECEIPTS)
    user, marks = read_receipt(raw, grant.user)
    sender = service.admission.sender(grant.user, address)
    held = await service.receipts.put(channel, user, marks, sender)
    return JSONResponse(told(channel, {user: held}, whole=False))


@router.get(
    "/channels/{channel}/receipts",
    summary="Read how far each user has got",
    responses={
        **_shown({**_MARKS, "whole": True}, "The marks of all users."),
        **describe(
            READING_PROBLEMS,
            STORE_PROBLEMS,
            _OFF,
            {422: "The channel's name is not one.", 429: "This user or address reads too much."},
        ),
    },
)
async def get(channel: ChannelPath, service: ServiceDep, grant: ReaderDep, address: AddressDep) -> JSONResponse:
    """At most 1,000 users: those whose marks rose last."""
    grant.must_subscribe([channel])
    must_offer(service.namespaces, channel, Feature.RECEIPTS)
    visitor = service.admission.visitor(grant.user, address, opens=False)
    return JSONResponse(told(channel, await service.receipts.all(channel, visitor), whole=True))
