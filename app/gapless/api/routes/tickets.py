"""POST /tickets: a read-only ticket for a URL, in exchange for a token. (docs/protocol.md, section 6)"""

from __future__ import annotations

from datetime import UTC, datetime

from fastapi import APIRouter
from pydantic import BaseModel, ConfigDict, Field, ValidationError
from starlette.responses import JSONResponse

from gapless.api.authentication import WriterDep
from gapless.api.by_hand import described
from gapless.api.dependencies import BodyDep, ServiceDep, must_be_channels
from gapless.api.problems import BODY_PROBLEMS, READING_PROBLEMS, describe
from gapless.api.schemas import CHANNEL, MOST_CHANNELS, explain, read_json
from gapless.log.errors import Unprocessable

router = APIRouter(tags=["access"])


class TicketRequest(BaseModel):
    """The channels that the ticket's bearer may read."""

    model_config = ConfigDict(extra="forbid", title="Ticket", strict=True, defer_build=True)

    channels: list[str] = Field(
        min_length=1,
        max_length=MOST_CHANNELS,
        examples=[["general"]],
        json_schema_extra={"uniqueItems": True, "items": {"type": "string", "pattern": CHANNEL}},
    )


@router.post(
    "/tickets",
    status_code=201,
    summary="Make a read-only ticket",
    openapi_extra={
        "requestBody": {
            "required": True,
            "content": {"application/json": {"schema": described(TicketRequest)}},
        }
    },
    responses={
        201: {
            "description": "Use it as ?ticket=… on streams and history, until `expires`.",
            "content": {"application/json": {"example": {"ticket": "eyJ…", "expires": "2026-01-01T12:15:00Z"}}},
        },
        **describe(
            READING_PROBLEMS,
            BODY_PROBLEMS,
            {422: "channels: Field required.", 503: "The keys that verify tokens can't be fetched now."},
        ),
    },
)
async def tickets(grant: WriterDep, raw: BodyDep, service: ServiceDep) -> JSONResponse:
    """It lives for at most 15 minutes and no longer than the token. Nothing is stored; any instance honours it."""
    try:
        asked = TicketRequest.model_validate(read_json(raw))
    except ValidationError as error:
        raise Unprocessable(explain(error.errors())) from None
    must_be_channels(asked.channels)
    if service.tickets is None:
        raise Unprocessable(
            "This service makes no tickets: it asks for no tokens."
            if service.verifier is None
            else "This service makes no tickets: set GAPLESS_TICKET_SECRET."
        )
    ticket, ends = service.tickets.make(grant, asked.channels, service.clock())
    expires = datetime.fromtimestamp(ends, UTC).strftime("%Y-%m-%dT%H:%M:%SZ")
    return JSONResponse({"ticket": ticket, "expires": expires}, 201)
