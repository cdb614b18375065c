"""GET /channels/{channel}/messages: history and long poll. (docs/protocol.md, section 4)"""

from __future__ import annotations

import asyncio
import contextlib
import json
from collections.abc import Sequence
from typing import Annotated

from fastapi import APIRouter, Query, Request
from starlette.responses import Response

from gapless.api.admission import admit
from gapless.api.authentication import AddressDep, ReaderDep
from gapless.api.dependencies import ChannelPath, Service, ServiceDep
from gapless.api.problems import READING_PROBLEMS, STORE_PROBLEMS, describe
from gapless.auth.rates import TRAFFIC_UNIT
from gapless.channels.feed import Feed
from gapless.channels.feeds import Visitor
from gapless.channels.frames import Frame, first_that_fit, last_that_fit
from gapless.delivery.buffered import MOST_BYTES as MOST_WHOLE
from gapless.delivery.mode import Mode
from gapless.delivery.sse import gap_json
from gapless.log.cursor import Position, parse_position
from gapless.log.entries import Gap
from gapless.log.errors import StoreUnavailable, Unprocessable
from gapless.log.store import MOST_BYTES, NEWEST, SLICE, Room
from gapless.platforms.remaining import remaining
from gapless.platforms.shutdown import ClientGone, ServerShutdown, cancel_on_disconnect
from gapless.services import history as past
from gapless.services.history import Page

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
    after: Annotated[str | None, Query(description="Only messages newer than this position.")] = None,
    wait: Annotated[float | None, Query(ge=0, le=25, description="Seconds to wait for one; with `after`.")] = None,
) -> Response:
    """The newest messages, those before an id, or those after a position: at once, or as soon as there is one."""
    grant.must_subscribe([channel])
    before, after = before or None, after or None
    if before and after:
        raise Unprocessable("before and after exclude each other: send one of them.")
    if wait is not None and not after:
        raise Unprocessable("wait goes with after: it says for how long to wait for what comes next.")
    visitor = admit(service, grant, address, opens=bool(wait))
    room = Room(limit, MOST_BYTES if service.policy.mode is Mode.STREAMING else MOST_WHOLE)
    if after:
        left = remaining(request.scope, service.policy.platform, service.clock())
        until = asyncio.get_running_loop().time() + service.policy.patience(wait or 0, left)
        try:
            async with (
                service.shutdown.cancel_on_shutdown(request.scope.get("server")),
                cancel_on_disconnect(request.receive),
            ):
                return _reply(channel, await _after(service, visitor, channel, after, room, until))
        except ClientGone:
            request.scope["gapless.note"] = "left"
            return Response()
        except ServerShutdown:
            return _reply(channel, _nothing_yet(after))
    if before:
        position = parse_position(before)
        if position is None or not position.seq:
            raise Unprocessable("before is not the id of a message.")
        visitor.pay(SLICE)
        page = await past.before(service.store, channel, position, room, service.clock())
    else:
        page = await _newest(service, visitor, channel, room)
    visitor.pay(sum(frame.size for frame in page.frames) // TRAFFIC_UNIT)
    return _reply(channel, page)


async def _newest(service: Service, visitor: Visitor, channel: str, room: Room) -> Page:
    """The newest page: from an open feed without a command, else from the log."""
    feed = service.feeds.warm(channel)
    held = None if feed is None else feed.newest(room.messages)
    if feed is not None and held is not None:
        return Page(last_that_fit(held, room), feed.head)
    visitor.pay(NEWEST)
    return await past.newest(service.store, channel, room, service.clock())


async def _after(service: Service, visitor: Visitor, channel: str, text: str, room: Room, until: float) -> Page:
    """What comes after a position, as a stream would send it; waits until loop time `until` where there is nothing."""
    async with service.feeds.open([channel], visitor) as [feed]:
        position = parse_position(text)
        if position is None:
            gap = await feed.unknown()
            result = await feed.after(gap.resume, room)
            return _page(result.frames, room, gap.resume, gap)
        result = await feed.after(position, room)
        if not result.frames and result.gap is None:
            await _news(feed, position, until)
            result = await feed.after(position, room)
        if result.gap is not None:
            rest = await feed.after(result.gap.resume, room)
            return _page(rest.frames, room, result.gap.resume, result.gap)
        return _page(result.frames, room, position, None)


def _nothing_yet(text: str) -> Page:
    """The next request may reach another process. Raises StoreUnavailable without a position to ask from."""
    position = parse_position(text)
    if position is None:
        raise StoreUnavailable("The service is about to stop; ask again.")
    return Page([], position)


def _page(found: Sequence[Frame], room: Room, position: Position, gap: Gap | None) -> Page:
    chosen = first_that_fit(found, room)
    return Page(chosen, chosen[-1].position if chosen else position, gap)


class _Waiter:
    """A reader that only waits until there is something to read."""

    def __init__(self, position: Position) -> None:
        self.position = position
        self.bell = asyncio.Event()

    def push(self, frames: Sequence[Frame], block: bytes, now: float) -> None:
        self.bell.set()

    def rewind(self, gap: Gap) -> None:
        self.bell.set()

    def wake(self) -> None:
        self.bell.set()


async def _news(feed: Feed, position: Position, until: float) -> None:
    """Return as soon as the feed has something, or at loop time `until`."""
    waiter = _Waiter(position)
    feed.audience.join(waiter)
    try:
        held = feed.peek(position)
        if held is not None and not held.frames:
            with contextlib.suppress(TimeoutError):
                async with asyncio.timeout_at(until):
                    await waiter.bell.wait()
    finally:
        feed.audience.leave(waiter)


def _reply(channel: str, page: Page) -> Response:
    """The page as JSON, made of the bytes that streams send."""
    quoted = [f'"{page.frames[at].position}"' if page.frames else "null" for at in (0, -1)]
    cursor = "null" if page.cursor is None else f'"{page.cursor}"'
    gap = "null" if page.gap is None else json.dumps(gap_json(channel, page.gap), separators=(",", ":"))
    ends = f'],"oldest":{quoted[0]},"latest":{quoted[1]},"cursor":{cursor},"gap":{gap}}}'
    content = b'{"messages":[' + b",".join(frame.json for frame in page.frames) + ends.encode()
    return Response(content, media_type="application/json", headers={"Cache-Control": "no-store"})
