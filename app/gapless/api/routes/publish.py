"""POST /channels/{channel}/messages: one message, or a batch. (docs/protocol.md, section 2)"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Annotated, Any

from fastapi import APIRouter, Header
from starlette.responses import JSONResponse

from gapless.api.admission import admit_post
from gapless.api.authentication import AddressDep, WriterDep
from gapless.api.dependencies import BodyDep, ChannelPath, Service, ServiceDep
from gapless.api.idempotency import PATTERN, HeaderKey, batch_key, keyed, read_key
from gapless.api.problems import BODY_PROBLEMS, STORE_PROBLEMS, TOKEN_PROBLEMS, describe
from gapless.api.schemas import Message, drafts_of, read_messages
from gapless.auth.grant import Grant
from gapless.auth.rates import TRAFFIC_UNIT, subject_of
from gapless.channels.frames import timestamp
from gapless.log.cursor import new_epoch
from gapless.log.entries import Draft
from gapless.log.errors import Conflict, TooMany, Unprocessable
from gapless.log.publication import Accepted, KeyConflict, Limited, Outcome, Publication, Rate, Repeated

router = APIRouter(tags=["messages"])

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
                    {"$ref": "#/components/schemas/Message"},
                    {
                        "type": "array",
                        "minItems": 1,
                        "maxItems": 100,
                        "items": {"$ref": "#/components/schemas/Message"},
                    },
                ]
            },
            "examples": {
                "one": {"value": {"data": {"text": "hi"}, "user": "ann"}},
                "batch": {"value": [{"data": 1}, {"data": 2}]},
            },
        }
    },
}


@router.post(
    "/channels/{channel}/messages",
    status_code=201,
    summary="Publish one message or a batch",
    openapi_extra={"requestBody": _REQUEST},
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
async def publish(
    channel: ChannelPath,
    service: ServiceDep,
    grant: WriterDep,
    raw: BodyDep,
    address: AddressDep,
    idempotency_key: Annotated[
        str | None,
        Header(
            description="The localId of a single message; keys a batch as a whole. In quotes it means the same.",
            json_schema_extra={"type": "string", "pattern": PATTERN},
        ),
    ] = None,
) -> JSONResponse:
    """Append messages to a channel. When 201 is returned they are in the log, numbered and told to every reader."""
    grant.must_publish(channel)
    pay = admit_post(service, grant, address)
    key = read_key(idempotency_key)
    messages, batch = _messages(raw, service.settings.cap, grant.user, key)
    drafts = drafts_of(messages, service.settings.max_body)
    rate = _rate(service, grant, address, drafts)
    publication = _publication(service, channel, drafts, batch_key(messages, key) if batch else None, rate)
    outcome = await service.store.publish(publication)
    if isinstance(outcome, Accepted):
        service.feeds.offer(channel, outcome.entries)
    else:
        pay(1 + sum(len(draft.body) for draft in drafts) // TRAFFIC_UNIT)
    return _answer(outcome, publication, messages, batch)


def _messages(raw: bytes, cap: int, user: str | None, key: HeaderKey | None) -> tuple[list[Message], bool]:
    """The messages as they will be stored, and whether they came as a batch. `user`: the token's, if there is one."""
    messages, batch = read_messages(raw, cap)
    if user is not None:
        messages = [message.model_copy(update={"user": user}) for message in messages]
    return (messages, True) if batch else ([keyed(messages[0], key)], False)


def _rate(service: Service, grant: Grant, address: str | None, drafts: Sequence[Draft]) -> Rate | None:
    """The limit that these messages count towards: the token's subject's, else the address's.

    Raises Unprocessable for what would never pass, however long one waits.
    """
    settings, count, size = service.settings, len(drafts), sum(len(draft.body) for draft in drafts)
    if not settings.rate:
        return None
    if count > settings.burst:
        most = f"at most {settings.burst} messages here (GAPLESS_BURST)"
        raise Unprocessable(f"A batch holds {most}; this one holds {count}.")
    if settings.rate_bytes and size > settings.burst_bytes:
        most = f"at most {settings.burst_bytes} bytes are taken at once here (GAPLESS_BURST_BYTES)"
        raise Unprocessable(f"This would be stored in {size} bytes; {most}.")
    byte_interval = 1000 / settings.rate_bytes if settings.rate_bytes else 0
    subject = subject_of(grant.user, address)
    return Rate(subject, 1000 / settings.rate, settings.burst, byte_interval, settings.burst_bytes)


def _publication(
    service: Service, channel: str, drafts: tuple[Draft, ...], key: str | None, rate: Rate | None
) -> Publication:
    """The messages with what only the service can give: time and chance."""
    now = service.clock()
    return Publication(
        channel,
        drafts,
        tuple(service.token(4) for _ in drafts),
        new_epoch(now, service.token(2)),
        int(now * 1000),
        key,
        rate,
    )


def _answer(outcome: Outcome, sent: Publication, messages: list[Message], batch: bool) -> JSONResponse:
    """201 for what is new, 200 for what was known; raises Conflict and TooMany."""
    match outcome:
        case Accepted(entries):
            ids, time, duplicate = tuple(entry.position for entry in entries), sent.now, False
        case Repeated(ids, time):
            # Its own ids: it is this very request, whose first reply we have not had.
            duplicate = not sent.owns(ids)
        case KeyConflict(known, same):
            raise Conflict(_conflict(known, same))
        case Limited(wait):
            raise TooMany(
                "Too many messages on this channel, or too many bytes; wait and send again.",
                wait / 1000,
                retryAfterMs=wait,
            )
    told = [
        _told(sent.channel, message, str(position), time) | ({"duplicate": True} if duplicate else {})
        for message, position in zip(messages, ids, strict=True)
    ]
    return JSONResponse(told if batch else told[0], 200 if duplicate else 201)


def _told(channel: str, message: Message, position: str, time: int) -> dict[str, Any]:
    return {
        "id": position,
        "channel": channel,
        "event": message.event,
        "user": message.user,
        "localId": message.localId,
        "timestamp": timestamp(time),
    }


def _conflict(known: int, same: int) -> str:
    if known == same:
        return "Part of this batch was published before; repeat the same batch, or send only what is new."
    return "This localId was used for other content in the last ten minutes; give a new message a new localId."
