"""POST /channels/{channel}/signals: something for those who read now. (docs/protocol.md, section 9)"""

from __future__ import annotations

from fastapi import APIRouter
from starlette.responses import JSONResponse

from gapless.api.asides import SignalRequest, must_offer, read_signal, signal_line
from gapless.api.authentication import AddressDep, WriterDep
from gapless.api.by_hand import described
from gapless.api.dependencies import BodyDep, ChannelPath, ServiceDep
from gapless.api.problems import BODY_PROBLEMS, STORE_PROBLEMS, TOKEN_PROBLEMS, describe
from gapless.channels.frames import timestamp
from gapless.log.namespaces import Feature

router = APIRouter(tags=["around messages"])

_SENT = {
    "channel": "general",
    "event": "typing",
    "user": "ann",
    "timestamp": "2026-01-01T12:00:00.000Z",
    "nonce": "4f1c09zk2m7q",
}
_REQUEST = {
    "required": True,
    "content": {
        "application/json": {
            "schema": described(SignalRequest),
            "examples": {"typing": {"value": {"event": "typing", "user": "ann"}}},
        }
    },
}


@router.post(
    "/channels/{channel}/signals",
    status_code=202,
    summary="Send a signal to those who read now",
    openapi_extra={"requestBody": _REQUEST},
    responses={
        202: {"description": "Told, and not stored.", "content": {"application/json": {"example": _SENT}}},
        **describe(
            TOKEN_PROBLEMS,
            BODY_PROBLEMS,
            STORE_PROBLEMS,
            {
                403: "This token may not publish to 'general'.",
                404: "'general' has no signals: they are off for its namespace.",
                413: "The body is larger than GAPLESS_MAX_BODY, or the signal than 8192 bytes.",
                422: "event: Field required.",
                429: "Too many signals on this channel.",
                501: "The store refuses subscriptions now, and what is polled tells no signals.",
            },
        ),
    },
)
async def signal(
    channel: ChannelPath, service: ServiceDep, grant: WriterDep, raw: BodyDep, address: AddressDep
) -> JSONResponse:
    """Streams that are open now get it once, as the event `signal`. It is never stored: who reads later never sees it.

    "Typing" is a signal `{"event": "typing"}` that a client repeats every 10 s at most, and that readers let go after
    12 s.
    """
    grant.must_publish(channel)
    must_offer(service.namespaces, channel, Feature.SIGNALS)
    asked, data = read_signal(raw)
    sender = service.admission.sender(grant.user, address)
    now, nonce = int(service.clock() * 1000), service.token(12)
    user = asked.user if grant.user is None else grant.user
    told = {"timestamp": timestamp(now), "nonce": nonce}
    await service.signalling.send(channel, nonce, signal_line(channel, asked, user, data, told), now, sender)
    return JSONResponse({"channel": channel, "event": asked.event, "user": user, **told}, 202)
