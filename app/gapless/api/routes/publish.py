"""POST /channels/{channel}/messages: one message, or a batch. (docs/protocol.md, section 2)

The route calls what others depend on: FastAPI's dependencies would be a fifth of what a publish costs.
"""

from __future__ import annotations

from typing import Any

from fastapi import APIRouter, Request
from pydantic_core import to_json
from starlette.responses import Response

from gapless.api.authentication import accepted, address_of, writer
from gapless.api.by_hand import IN_PATH, channel_of, described, parameter
from gapless.api.dependencies import body
from gapless.api.dependencies import service as service_of
from gapless.api.direct_routes import DirectRoute
from gapless.api.idempotency import PATTERN, HeaderKey, batch_key, keyed, read_key
from gapless.api.problems import BODY_PROBLEMS, STORE_PROBLEMS, TOKEN_PROBLEMS, describe
from gapless.api.schemas import Message, drafts_of, read_messages
from gapless.auth.grant import Grant
from gapless.channels.frames import timestamp
from gapless.log.cursor import Position
from gapless.services.publishing import Published

router = APIRouter(tags=["messages"], route_class=DirectRoute)

_SENT = {
    "id": "t9x2k0ab-42-7qd1",
    "channel": "general",
    "event": "message",
    "user": "ann",
    "localId": "4f1c",
    "timestamp": "2026-01-01T12:00:00.000Z",
}
_REQUEST = {
    "required": True,
    "content": {
        "application/json": {
            "schema": {
                "oneOf": [
                    described(Message),
                    {
                        "type": "array",
                        "minItems": 1,
                        "maxItems": 100,
                        "items": described(Message),
                    },
                ]
            },
            "examples": {
                "one": {"value": {"data": {"text": "hi"}, "user": "ann"}},
                "edit": {"value": {"event": "edit", "ref": "t9x2k0ab-42-7qd1", "data": {"text": "hello"}}},
                "delete": {"value": {"event": "delete", "ref": "t9x2k0ab-42-7qd1"}},
                "batch": {"value": [{"data": 1}, {"data": 2}]},
            },
        }
    },
}

_KEY = parameter(
    "idempotency-key",
    {
        "type": "string",
        "pattern": PATTERN,
        "title": "Idempotency-Key",
        "description": "The localId of a single message; keys a batch as a whole. In quotes it means the same.",
    },
    "header",
)


@router.post(
    "/channels/{channel}/messages",
    status_code=201,
    summary="Publish one message or a batch",
    openapi_extra={"requestBody": _REQUEST, "parameters": [IN_PATH, _KEY], "security": accepted(writer)},
    responses={
        201: {"description": "In the log; an array for a batch.", "content": {"application/json": {"example": _SENT}}},
        200: {
            "description": "The same was published before under this localId: its first id, nothing appended.",
            "content": {"application/json": {"example": {**_SENT, "duplicate": True}}},
        },
        **describe(
            TOKEN_PROBLEMS,
            BODY_PROBLEMS,
            STORE_PROBLEMS,
            {
                403: "This token may not publish to 'general'.",
                409: "This localId was used for other content.",
                413: "The body is larger than GAPLESS_MAX_BODY, or what would be stored of it.",
                422: "data: Field required.",
                429: "Too many messages on this channel.",
            },
        ),
    },
)
async def publish(request: Request) -> Response:
    """Append messages to a channel. When 201 is returned they are in the log, numbered and told to every reader."""
    service, grant = service_of(request), await writer(request)
    channel, raw = channel_of(request), await body(request)
    grant.must_publish(channel)
    sender = service.admission.sender(grant.user, address_of(request, service))
    key = read_key(request.headers.get("idempotency-key"))
    messages, batch = _messages(raw, service.namespaces.of(channel).cap, grant, key)
    whole = batch_key(messages, key) if batch else None
    drafts = drafts_of(messages, service.settings.max_body, keyed=whole is not None)
    published = await service.publishing.publish(channel, drafts, key=whole, sender=sender)
    told = [
        _told(channel, message, position, published) for message, position in zip(messages, published.ids, strict=True)
    ]
    status = 200 if published.duplicate else 201
    return Response(to_json(told if batch else told[0]), status, media_type="application/json")


def _messages(raw: bytes, cap: int, grant: Grant, key: HeaderKey | None) -> tuple[list[Message], bool]:
    """The messages as they will be stored, and whether they came as a batch. The token's user is each one's."""
    messages, batch = read_messages(raw, cap)
    if grant.user is not None:
        messages = [message.model_copy(update={"user": grant.user}) for message in messages]
    if grant.admin:
        messages = [message.by_admin() for message in messages]
    return (messages, True) if batch else ([keyed(messages[0], key)], False)


def _told(channel: str, message: Message, position: Position, published: Published) -> dict[str, Any]:
    return {
        "id": str(position),
        "channel": channel,
        "event": message.event,
        "user": message.user,
        "localId": message.localId,
        "timestamp": timestamp(published.time),
        **({"duplicate": True} if published.duplicate else {}),
    }
