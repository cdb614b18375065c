"""GET /channels/{channel}/stream and GET /stream: live messages as server-sent events. (docs/protocol.md, section 3)"""

from __future__ import annotations

import logging
from collections.abc import Sequence
from typing import Any

from fastapi import APIRouter, Request
from fastapi.exceptions import RequestValidationError
from starlette.exceptions import HTTPException
from starlette.responses import Response

from gapless.api.authentication import accepted, address_of, must_be_there_himself, reader
from gapless.api.by_hand import IN_PATH, channel_of
from gapless.api.dependencies import channels_of, start
from gapless.api.dependencies import service as service_of
from gapless.api.direct_routes import DirectRoute, Handler
from gapless.api.problems import READING_PROBLEMS, describe
from gapless.api.service import Service
from gapless.api.stream_query import PARAMETER_OF_MANY, PARAMETERS, StreamQuery, read_query
from gapless.auth.grant import Grant
from gapless.delivery.buffered import LONGEST, BufferedResponse
from gapless.delivery.end import End
from gapless.delivery.mode import Mode
from gapless.delivery.retry import RETRY_UNAVAILABLE, jittered
from gapless.delivery.session import Extras, StreamLimits
from gapless.delivery.sse import end
from gapless.log.errors import Busy, Refused, StoreUnavailable
from gapless.platforms.remaining import remaining
from gapless.platforms.shutdown import ClientGone, ServerShutdown, cancel_on_disconnect

_log = logging.getLogger("gapless.problems")


class StreamRoute(DirectRoute):
    """A route that never answers 5xx or 429, because an EventSource would then stop for ever."""

    def get_route_handler(self) -> Handler:
        """As any route's, but what comes and goes becomes an `end`."""
        handler = super().get_route_handler()

        async def handle(request: Request) -> Response:
            try:
                return await handler(request)
            except StoreUnavailable as error:
                _log.warning("unavailable: %s", error.detail)
                return _refused(End.UNAVAILABLE, service_of(request))
            except Busy:
                return _refused(End.BUSY, service_of(request))
            except (Refused, RequestValidationError, HTTPException):
                raise
            except Exception:  # a defect of ours, which the client must outlive
                _log.exception("a stream could not begin")
                return _refused(End.UNAVAILABLE, service_of(request))

        return handle


router = APIRouter(tags=["live"], route_class=StreamRoute)

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
    **describe(READING_PROBLEMS, {422: "Name each channel once."}),
}


@router.head("/channels/{channel}/stream", include_in_schema=False)
@router.get(
    "/channels/{channel}/stream",
    summary="Read one channel live",
    response_class=Response,
    responses=_RESPONSES,
    openapi_extra={"parameters": [IN_PATH, *PARAMETERS], "security": accepted(reader)},
)
async def stream_one(request: Request) -> Response:
    """Every message of the channel from a position on, then live. Readable by a stock EventSource."""
    return await _open(request, await reader(request), [channel_of(request)])


@router.head("/stream", include_in_schema=False)
@router.get(
    "/stream",
    summary="Read many channels live",
    response_class=Response,
    responses=_RESPONSES,
    openapi_extra={"parameters": [PARAMETER_OF_MANY, *PARAMETERS], "security": accepted(reader)},
)
async def stream_many(request: Request) -> Response:
    """Every message of up to 16 channels on one stream; its ids are cursors over all of them."""
    return await _open(request, await reader(request), channels_of(request))


async def _open(request: Request, grant: Grant, channels: Sequence[str]) -> Response:
    """A stream that lives as long as platform and token let it; where bodies are handed over whole, one turn."""
    service, query = service_of(request), read_query(request)
    grant.must_subscribe(channels)
    if query.presence == "1":
        must_be_there_himself(request, service)
    begin = start(channels, request.headers.get("last-event-id"), [query.lastEventId, query.after], query.history)
    extras = _extras(query, grant)
    whole = service.policy.mode is Mode.BUFFERED or query.mode is not None
    limits = _limits(request, service, grant, whole=whole)
    head = request.method == "HEAD"
    visitor = None if head else service.admission.visitor(grant.user, address_of(request, service), opens=True)
    if head or not whole:
        from gapless.api.event_stream import LiveBody, LiveResponse  # noqa: PLC0415 - sse-starlette imports uvicorn: not at a cold start

        return LiveResponse(LiveBody(service.feeds, service.shutdown, visitor, channels, begin, limits, extras))
    try:
        async with (
            service.shutdown.cancel_on_shutdown(request.scope.get("server")),
            cancel_on_disconnect(request.receive),
            service.feeds.open(channels, visitor) as feeds,
        ):
            buffered = BufferedResponse(feeds, begin, limits, extras)
            body = await buffered.collect()
    except ClientGone:
        request.scope["gapless.note"] = "turn left"
        return _whole(b"")
    except ServerShutdown:
        return _whole(end(End.SHUTDOWN, retry=jittered(limits.retry_ms, limits.random)))
    request.scope["gapless.note"] = f"turn messages={buffered.messages}"
    if buffered.served:
        service.counters.turns += 1
        service.counters.handed_over("turn", buffered.messages, len(body))
    else:
        service.counters.streams.refused[End.UNAVAILABLE.value] += 1
    return _whole(body)


def _extras(query: StreamQuery, grant: Grant) -> Extras:
    """What the client asked for beside the messages. Who is there is the token's user, where there is one."""
    user = (grant.user or query.user) if query.presence == "1" else None
    return Extras(query.live, query.beat is not None, query.receipts, query.presence is not None, user)


def _limits(request: Request, service: Service, grant: Grant, *, whole: bool) -> StreamLimits:
    """The shortest of what the setting, the platform and the token allow, and a turn where the answer is `whole`."""
    settings, policy, random = service.settings, service.policy, service.random()
    now = service.clock()
    longest = min(settings.lifetime, LONGEST) if whole else settings.lifetime
    lifetime = policy.lifetime(longest, remaining(request.scope, policy.platform, now), random)
    left = grant.seconds_left(now)
    deadline_reason = End.DEADLINE
    if left is not None and left < lifetime:
        lifetime, deadline_reason = left, End.AUTH
    return StreamLimits(lifetime, settings.heartbeat, settings.retry_ms, random, deadline_reason)


def _refused(reason: End, service: Service) -> Response:
    """A stream with one `end` event: why there is no stream now, and when to come back."""
    service.counters.streams.refused[reason.value] += 1
    return _whole(end(reason, retry=jittered(RETRY_UNAVAILABLE, service.random())))


def _whole(body: bytes) -> Response:
    return Response(body, media_type="text/event-stream")
