"""GET /channels/{channel}/messages: history and long poll. (docs/protocol.md, section 4)"""

from __future__ import annotations

import json
from typing import Annotated

from fastapi import APIRouter, Query, Request
from starlette.responses import Response

from gapless.api.authentication import AddressDep, ReaderDep
from gapless.api.dependencies import OLDEST, ChannelPath, ServiceDep
from gapless.api.problems import READING_PROBLEMS, STORE_PROBLEMS, describe
from gapless.api.service import Service
from gapless.channels.feeds import Visitor
from gapless.delivery.sse import gap_json
from gapless.log.cursor import Position, parse_position
from gapless.log.errors import StoreUnavailable, Unprocessable
from gapless.platforms.remaining import remaining
from gapless.platforms.shutdown import ClientGone, ServerShutdown, cancel_on_disconnect
from gapless.runtime.counters import Counters
from gapless.services.pages import Page

router = APIRouter(tags=["messages"])

_ID = "^([0-9a-z]{8}-[1-9][0-9]{0,14}-[0-9a-z]{4})?$"
_EXAMPLE = {
    "messages": [
        {
            "id": "t9x2k0ab-42-7qd1",
            "channel": "general",
            "event": "message",
            "user": "ann",
            "data": {"text": "hi"},
            "localId": "4f1c",
            "timestamp": "2026-01-01T12:00:00.000Z",
        }
    ],
    "oldest": "t9x2k0ab-42-7qd1",
    "latest": "t9x2k0ab-42-7qd1",
    "cursor": "t9x2k0ab-42-7qd1",
    # Not null, which FastAPI leaves out of what it describes.
    "gap": {
        "channel": "general",
        "reason": "trimmed",
        "missed": 3,
        "oldest": "t9x2k0ab-42-7qd1",
        "latest": "t9x2k0ab-42-7qd1",
    },
}


@router.get(
    "/channels/{channel}/messages",
    summary="Read history, or wait for what comes next",
    response_class=Response,
    responses={
        200: {"description": "A page, oldest message first.", "content": {"application/json": {"example": _EXAMPLE}}},
        **describe(
            READING_PROBLEMS,
            STORE_PROBLEMS,
            {422: "wait goes with after.", 429: "This user or address reads too much; wait and come back."},
        ),
    },
)
async def history(
    request: Request,
    channel: ChannelPath,
    grant: ReaderDep,
    service: ServiceDep,
    address: AddressDep,
    limit: Annotated[int, Query(ge=1, le=200)] = 50,
    before: Annotated[
        str | None,
        Query(description="Only messages older than this id.", json_schema_extra={"type": "string", "pattern": _ID}),
    ] = None,
    after: Annotated[
        str | None, Query(description="Only messages newer than this position; `start`: from the oldest message.")
    ] = None,
    wait: Annotated[float | None, Query(ge=0, le=25, description="Seconds to wait for one; with `after`.")] = None,
) -> Response:
    """The newest messages, those before an id, or those after a position: at once, or as soon as there is one."""
    grant.must_subscribe([channel])
    before, after = before or None, after or None
    _must_agree(before, after, wait)
    visitor = service.admission.visitor(grant.user, address, opens=bool(wait))
    if after:
        page = await _after(request, service, visitor, channel, after, limit, wait or 0)
    elif before:
        page = await service.history.before(channel, _message(before), limit, visitor)
    else:
        page = await service.history.newest(channel, limit, visitor)
    return Response() if page is None else _reply(channel, page, service.counters)


def _must_agree(before: str | None, after: str | None, wait: float | None) -> None:
    """Raises Unprocessable for queries that exclude each other."""
    if before and after:
        raise Unprocessable("before and after exclude each other: send one of them.")
    if wait is not None and not after:
        raise Unprocessable("wait goes with after: it says for how long to wait for what comes next.")


def _message(text: str) -> Position:
    position = parse_position(text)
    if position is None or not position.seq:
        raise Unprocessable("before is not the id of a message.")
    return position


async def _after(
    request: Request, service: Service, visitor: Visitor, channel: str, after: str, limit: int, wait: float
) -> Page | None:
    """Waits for `wait` seconds where there is nothing yet, but not into the platform's end or the server's.

    None where the client left meanwhile.
    """
    position = parse_position(after)
    left = remaining(request.scope, service.policy.platform, service.clock())
    patience = service.policy.patience(wait, left)
    try:
        async with (
            service.shutdown.cancel_on_shutdown(request.scope.get("server")),
            cancel_on_disconnect(request.receive),
        ):
            if after == OLDEST:
                return await service.history.oldest(channel, limit, patience, visitor)
            return await service.history.after(channel, position, limit, patience, visitor)
    except ClientGone:
        request.scope["gapless.note"] = "left"
        return None
    except ServerShutdown:
        return _nothing_yet(position)


def _nothing_yet(position: Position | None) -> Page:
    """The next request may reach another process. Raises StoreUnavailable without a position to ask from."""
    if position is None:
        raise StoreUnavailable("The service is about to stop; ask again.")
    return Page([], position)


def _reply(channel: str, page: Page, counters: Counters) -> Response:
    """The page as JSON, made of the bytes that streams send."""
    quoted = [f'"{page.frames[at].position}"' if page.frames else "null" for at in (0, -1)]
    cursor = "null" if page.cursor is None else f'"{page.cursor}"'
    gap = "null" if page.gap is None else json.dumps(gap_json(channel, page.gap), separators=(",", ":"))
    ends = f'],"oldest":{quoted[0]},"latest":{quoted[1]},"cursor":{cursor},"gap":{gap}}}'
    content = b'{"messages":[' + b",".join(frame.json for frame in page.frames) + ends.encode()
    counters.handed_over("page", len(page.frames), len(content))
    if page.gap is not None:
        counters.gaps[page.gap.reason.value] += 1
    return Response(content, media_type="application/json", headers={"Cache-Control": "no-store"})
