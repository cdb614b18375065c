"""Requests as the edge reads them: JSON in, drafts out. Used by routes only. (docs/protocol.md, section 2)"""

from __future__ import annotations

import hashlib
from typing import Annotated, Any

from pydantic import BaseModel, ConfigDict, Field, TypeAdapter, ValidationError, field_validator
from pydantic_core import from_json, to_json

from app.errors import BadRequest, Unprocessable
from app.events import Draft

MOST_IN_BATCH = 100
CHANNEL = r"^[A-Za-z0-9][A-Za-z0-9_.:-]{0,63}$"
MOST_CHANNELS = 16
OWN_EVENTS = frozenset({"hello", "gap", "end", "receipt", "presence", "signal", "open", "error"})

_Text = Annotated[str, Field(min_length=1, max_length=128, pattern=r"^[^\x00-\x1f\x7f]*$")]
# Some readers of event streams split lines where JSON does not escape: Unicode's own line ends.
_LINE_ENDS = ((b"\xe2\x80\xa8", b"\\u2028"), (b"\xe2\x80\xa9", b"\\u2029"), (b"\xc2\x85", b"\\u0085"))


class Message(BaseModel):
    """One message to publish."""

    model_config = ConfigDict(extra="forbid", title="Message", strict=True)

    data: Any = Field(description="Any JSON value.", examples=[{"text": "hi"}])
    event: Annotated[str, Field(pattern=r"^[A-Za-z0-9_.:-]{1,64}$")] = Field(
        "message",
        description="The SSE event name; not one of the service's own.",
        json_schema_extra={"not": {"anyOf": [{"enum": [*sorted(OWN_EVENTS)]}, {"pattern": r"^gapless\."}]}},
    )
    user: _Text | None = Field(None, description="Who sends; the token's `sub` overrides it.", examples=["ann"])
    localId: _Text | None = Field(  # noqa: N815 - the wire's name
        None, description="The client's own id, best a UUID: the same again appends nothing.", examples=["4f1c…"]
    )

    @field_validator("event")
    @classmethod
    def _is_free(cls, event: str) -> str:
        if event in OWN_EVENTS or event.startswith("gapless."):
            raise ValueError(f"'{event}' is one of the service's own event names; choose another")
        return event

    def draft(self, user: str | None) -> Draft:
        """The message as it is stored: one line of JSON, without the id and time that the log gives."""
        content = {"event": self.event, "user": user, "data": self.data, "localId": self.localId}
        body = to_json(content)
        if b"Infinity" in body:
            _refuse_infinity(body)
        for raw, escaped in _LINE_ENDS:
            if raw in body:
                body = body.replace(raw, escaped)
        return Draft(body, hashlib.sha256(body).hexdigest()[:32], user, self.localId)


def _refuse_infinity(body: bytes) -> None:
    """1e400 is JSON, but no number: it would be written as one that no reader can read."""
    try:
        from_json(body, allow_inf_nan=False)
    except ValueError:
        raise Unprocessable("data: a number is too large; send it as a string.") from None


def read_json(raw: bytes) -> Any:
    """The JSON value of a body; raises BadRequest for all else: NaN, bad UTF-8, lone surrogates, bottomless nests."""
    try:
        return from_json(raw, allow_inf_nan=False, cache_strings=False)
    except (ValueError, RecursionError) as error:
        raise BadRequest(f"The body is not JSON: {error}.") from None


def read_messages(raw: bytes, cap: int) -> tuple[list[Message], bool]:
    """The messages of a publish request, and whether they came as a batch; raises Refused for bad ones."""
    value = read_json(raw)
    batch = isinstance(value, list)
    most = min(MOST_IN_BATCH, cap)
    if batch and not 1 <= len(value) <= most:
        raise Unprocessable(f"A batch holds 1 to {most} messages; this one holds {len(value)}.")
    if not batch and not isinstance(value, dict):
        raise Unprocessable('The body is one message, such as {"data": {"text": "hi"}}, or an array of messages.')
    try:
        messages = _Batch.validate_python(value if batch else [value])
    except ValidationError as error:
        raise Unprocessable(explain(_placed(error.errors(), batch))) from None
    ids = [message.localId for message in messages if message.localId is not None]
    if len(set(ids)) < len(ids):
        raise Unprocessable("In a batch each localId may stand once.")
    return messages, batch


_Batch = TypeAdapter(list[Message])


def _placed(errors: Any, batch: bool) -> Any:
    """Errors of a batch name the message by its index from 0; a single message needs no number."""
    return errors if batch else [{**error, "loc": error["loc"][1:]} for error in errors]


def explain(errors: Any) -> str:
    """Validation errors as one sentence each, the first three of them; what came from outside is cut short."""
    told = []
    for error in errors[:3]:
        where = ".".join(str(part)[:40] for part in error["loc"]) or "body"
        told.append(f"{where}: {error['msg'].removeprefix('Value error, ')}")
    return "; ".join(told) + "."
