"""What several routes need: the service they belong to, and the parameters they share."""

from __future__ import annotations

import codecs
import re
from collections.abc import Sequence
from typing import Annotated

from fastapi import Depends, Path, Query, Request
from starlette.requests import ClientDisconnect
from starlette.types import Receive

from gapless.api.by_hand import CHANNEL_IS
from gapless.api.schemas import CHANNEL, MOST_CHANNELS
from gapless.api.service import Service
from gapless.delivery.session import Start
from gapless.log.cursor import parse_cursor
from gapless.log.errors import TimedOut, TooLarge, Unprocessable, UnsupportedMedia
from gapless.runtime.within import within

OLDEST = "start"
"""Stands in a query for the position before the first message of each log."""
BODY_SECONDS = 30.0
"""Seconds for a body to arrive: a client that sends slower holds a connection for nothing."""

LARGE = 4096
"""Bytes above which a body waits for a turn of its sender's: to read sixteen kilobytes may take milliseconds."""


def service(request: Request) -> Service:
    """The service that answers this request."""
    found: Service = request.app.wiring.service
    return found


async def _service(request: Request) -> Service:
    """As a dependency. Not `def`: FastAPI runs those in a thread each, where two first requests make two services."""
    return service(request)


async def body(request: Request) -> bytes:
    """The whole body, declared as JSON and no longer than GAPLESS_MAX_BODY, without the mark that may open UTF-8."""
    most = service(request).settings.max_body
    kind = request.headers.get("content-type", "").partition(";")[0].strip().lower()
    if kind != "application/json":
        raise UnsupportedMedia("Send the body as JSON, with the header Content-Type: application/json.")
    try:
        received = await within(BODY_SECONDS, _whole(request.receive, most))
    except TimeoutError:
        raise TimedOut(f"The body did not arrive within {BODY_SECONDS:g} seconds.") from None
    if len(received) > LARGE:
        await request.scope["gapless.turn"]()
    return received.removeprefix(codecs.BOM_UTF8)


async def _whole(receive: Receive, most: int) -> bytes:
    """The body, of at most so many bytes. Raises TooLarge, and ClientDisconnect where it breaks off."""
    pieces: list[bytes] = []
    size, more = 0, True
    while more:
        message = await receive()
        if message["type"] == "http.disconnect":
            raise ClientDisconnect
        more = message.get("more_body", False)
        if piece := message.get("body", b""):
            pieces.append(piece)
            size += len(piece)
        if size > most:
            raise TooLarge(f"The body is larger than {most} bytes. Send less at once, or raise GAPLESS_MAX_BODY.")
    return b"".join(pieces)


def channels_of(request: Request) -> list[str]:
    """The channels that a query names."""
    return must_be_channels([name for value in request.query_params.getlist("channel") for name in value.split(",")])


def must_be_channels(named: list[str]) -> list[str]:
    """Returns the channels; raises Unprocessable unless they are 1 to 16 valid names, each once."""
    if not 1 <= len(named) <= MOST_CHANNELS:
        raise Unprocessable(
            f"Name 1 to {MOST_CHANNELS} channels, such as ?channel=a&channel=b; {len(named)} were named."
        )
    if len(set(named)) < len(named):
        raise Unprocessable("Name each channel once.")
    for name in named:
        if not re.fullmatch(CHANNEL[1:-1], name):
            raise Unprocessable(f"'{name[:70]}' is no channel: 1 to 64 letters, digits and _ . : - and no sign first.")
    return named


def start(named: Sequence[str], header: str | None, queries: Sequence[str | None], history: int) -> Start:
    """Where a stream begins: the header wins, then the first query given, then history, then now."""
    text = next((value for value in (header, *queries) if value), None)
    if text is None:
        return Start(history=history)
    if text == OLDEST and not header:
        return Start(oldest=True)
    cursor = parse_cursor(text, len(named))
    return Start(unreadable=True) if cursor is None else Start(cursor=cursor)


ServiceDep = Annotated[Service, Depends(_service)]
BodyDep = Annotated[bytes, Depends(body)]
ChannelPath = Annotated[
    str,
    Path(
        pattern=CHANNEL,
        description=CHANNEL_IS,
        examples=["general"],
    ),
]
UserQuery = Annotated[
    str | None,
    Query(
        min_length=1,
        max_length=128,
        pattern=r"^[^\x00-\x1f\x7f]*$",
        description="Who; needed without tokens, whose `sub` overrides it.",
    ),
]
