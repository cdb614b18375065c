"""GET /channels/{channel}/stream and GET /stream: live messages as server-sent events. (docs/protocol.md, section 3)"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Annotated, Any

from fastapi import APIRouter, Header, Query, Request
from starlette.responses import Response

from app.policy import Mode
from app.routes.deps import ChannelPath, ChannelsDep, Service, ServiceDep, start
from app.routes.problems import describe
from app.routes.remaining import remaining
from app.stream import Start, Terms
from app.turn import Turn

router = APIRouter(tags=["live"])

_EXAMPLE = """retry: 700
id: t9x2k0ab-41-m4ez
event: hello
data: {"cursor":"t9x2k0ab-41-m4ez","channels":["general"],"heartbeat":15,"lifetime":240,"mode":"streaming"}

id: t9x2k0ab-42-7qd1
data: {"id":"t9x2k0ab-42-7qd1","channel":"general","event":"message","user":"ann","data":"hi",\
"localId":null,"timestamp":"2026-01-01T12:00:00.000Z"}

"""
_RESPONSES: dict[int | str, dict[str, Any]] = {
    200: {"description": "An event stream.", "content": {"text/event-stream": {"example": _EXAMPLE}}},
    **describe(422, "Name each channel once."),
}
LastEventId = Annotated[str | None, Header(description="Where to go on; an EventSource sends it by itself.")]
After = Annotated[str | None, Query(description="The same as Last-Event-ID, for a first request.")]
Alias = Annotated[str | None, Query(alias="lastEventId", description="Another name of `after`.")]
History = Annotated[int, Query(ge=0, le=200, description="Begin with the last so many messages of each channel.")]


@router.head("/channels/{channel}/stream", include_in_schema=False)
@router.get(
    "/channels/{channel}/stream", summary="Read one channel live", response_class=Response, responses=_RESPONSES
)
async def stream_one(
    request: Request,
    channel: ChannelPath,
    service: ServiceDep,
    last_event_id: LastEventId = None,
    after: After = None,
    alias: Alias = None,
    history: History = 0,
) -> Response:
    """Every message of the channel from a position on, then live. Readable by a stock EventSource."""
    return await _open(request, service, [channel], start([channel], last_event_id, [after, alias], history))


@router.head("/stream", include_in_schema=False)
@router.get("/stream", summary="Read many channels live", response_class=Response, responses=_RESPONSES)
async def stream_many(
    request: Request,
    channels: ChannelsDep,
    service: ServiceDep,
    last_event_id: LastEventId = None,
    after: After = None,
    alias: Alias = None,
    history: History = 0,
) -> Response:
    """Every message of up to 16 channels on one stream; its ids are cursors over all of them."""
    return await _open(request, service, channels, start(channels, last_event_id, [after, alias], history))


async def _open(request: Request, service: Service, channels: Sequence[str], begin: Start) -> Response:
    """A stream that lives as long as the platform lets it; where bodies are handed over whole, one turn of it."""
    settings, policy, dice = service.settings, service.policy, service.dice()
    left = remaining(request.scope, policy.platform, service.wall())
    lifetime = policy.lifetime(settings.lifetime, left, dice)
    terms = Terms(lifetime, settings.heartbeat, settings.retry_ms, dice)
    if policy.mode is Mode.STREAMING or request.method == "HEAD":
        from app.routes.live import LiveResponse  # noqa: PLC0415 - sse-starlette imports uvicorn: not at a cold start

        return LiveResponse(service.feeds, channels, begin, terms, request.scope)
    async with service.feeds.open(channels) as feeds:
        turn = Turn(feeds, begin, terms)
        body = await turn.collect()
    request.scope["gapless.note"] = f"turn messages={turn.messages}"
    return Response(body, media_type="text/event-stream", headers={"Cache-Control": "no-store"})
