"""What the URL of a stream may ask for. (docs/protocol.md, section 3)

One model reads it in one go, and describes it: as parameters of FastAPI's, one by one, they were a third of what a
stream costs to open.
"""

from __future__ import annotations

from typing import Annotated, Literal

from fastapi import Request
from pydantic import BaseModel, ConfigDict, Field, ValidationError

from gapless.api.by_hand import invalid, parameter, queries
from gapless.api.schemas import CHANNEL, MOST_CHANNELS, Text


class StreamQuery(BaseModel):
    """The queries, but for the channels."""

    model_config = ConfigDict(frozen=True, defer_build=True)

    after: str | None = Field(
        None, description="The same as Last-Event-ID, for a first request; `start`: from the oldest message."
    )
    lastEventId: str | None = Field(  # noqa: N815 - the wire's name
        None, description="The same; it wins over `after`, which a polyfill keeps."
    )
    history: Annotated[int, Field(ge=0, le=200)] = Field(
        0, description="Begin with the last so many messages of each channel."
    )
    mode: Literal["buffered"] | None = Field(
        None, description="`buffered`: one whole answer within 20 s, for clients behind a proxy that buffers."
    )
    live: bool = Field(
        False, description="Send the event `live` once when all that was there at the start has been sent."
    )
    receipts: bool = Field(
        False, description="Send events `receipt`: how far each user has got, on channels that offer it."
    )
    presence: Literal["1", "watch"] | None = Field(
        None,
        description="`1`: be there while the stream is open, and get events `presence`; `watch`: only get them.",
    )
    user: Text | None = Field(None, description="Who is there; a token's `sub` overrides it.")
    beat: Literal["visible"] | None = Field(None, description="`visible`: heartbeats are events `beat`, not comments.")


_NONE = StreamQuery.model_construct()


def read_query(request: Request) -> StreamQuery:
    """The queries of a request; raises RequestValidationError."""
    if not request.scope["query_string"]:
        return _NONE
    try:
        return StreamQuery.model_validate(dict(request.query_params))
    except ValidationError as error:
        raise invalid(error, "query") from None


_CHANNELS = {
    "type": "array",
    "title": "Channel",
    "description": "1 to 16 channels, each once; one value may list several, with commas.",
    "items": {"type": "string", "pattern": CHANNEL},
    "minItems": 1,
    "maxItems": MOST_CHANNELS,
    "uniqueItems": True,
}
_LAST = {
    "type": "string",
    "title": "Last-Event-Id",
    "description": "Where to go on; an EventSource sends it by itself.",
}

PARAMETERS = [
    *queries(StreamQuery),
    parameter("last-event-id", _LAST, "header"),
]
"""Those of every stream, as OpenAPI has them."""

PARAMETER_OF_MANY = parameter("channel", _CHANNELS, required=True)
"""The query that names a stream's channels."""
