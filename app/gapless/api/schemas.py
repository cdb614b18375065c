"""Requests as the API reads them: JSON becomes drafts. Used by routes only. (docs/protocol.md, section 2)"""

from __future__ import annotations

import hashlib
from collections.abc import Sequence
from typing import Annotated, Any, ClassVar

from pydantic import BaseModel, ConfigDict, Field, TypeAdapter, ValidationError, field_validator
from pydantic_core import from_json, to_json

from gapless.api.spelling import MOST_MEMBERS, TOO_MANY, data_as_written
from gapless.log.entries import ENVELOPE, Draft
from gapless.log.errors import BadRequest, TooLarge, Unprocessable

MOST_IN_BATCH = 100
ID = r"^[0-9a-z]{8}-[1-9][0-9]{0,14}-[0-9a-z]{4}$"
CHANNEL = r"^[A-Za-z0-9][A-Za-z0-9_.:-]{0,63}$"
MOST_CHANNELS = 16
OWN_EVENTS = frozenset({"hello", "gap", "end", "receipt", "presence", "signal", "live", "beat", "open", "error"})

Text = Annotated[str, Field(min_length=1, max_length=128, pattern=r"^[^\x00-\x1f\x7f]*$")]
# Some readers of event streams split lines where JSON does not escape: Unicode's own line ends.
_LINE_ENDS = ((b"\xe2\x80\xa8", b"\\u2028"), (b"\xe2\x80\xa9", b"\\u2029"), (b"\xc2\x85", b"\\u0085"))


def _data_or_delete(schema: dict[str, Any]) -> None:
    """What JSON Schema can say of `data`, which only a message that deletes another one may leave out."""
    schema["required"].remove("data")
    deletes = {"properties": {"event": {"const": "delete"}, "ref": {"type": "string"}}, "required": ["event", "ref"]}
    schema["anyOf"] = [{"required": ["data"]}, deletes]


class Message(BaseModel):
    """One message to publish."""

    model_config = ConfigDict(extra="forbid", title="Message", strict=True, json_schema_extra=_data_or_delete)

    data: Any = Field(
        description="Any JSON value. It may be left out of a message `delete` with a `ref`.", examples=[{"text": "hi"}]
    )
    event: Annotated[str, Field(pattern=r"^[A-Za-z0-9_.:-]{1,64}$")] = Field(
        "message",
        description="The SSE event name; not one of the service's own.",
        json_schema_extra={"not": {"anyOf": [{"enum": [*sorted(OWN_EVENTS)]}, {"pattern": r"^gapless\."}]}},
    )
    user: Text | None = Field(None, description="Who sends; the token's `sub` overrides it.", examples=["ann"])
    localId: Text | None = Field(  # noqa: N815 - the wire's name
        None, description="The client's own id, best a UUID: the same again appends nothing.", examples=["4f1c…"]
    )

    ref: Annotated[str, Field(pattern=ID)] | None = Field(
        None,
        description="The id of a message of this channel that this one edits, deletes or answers.",
        examples=["t9x2k0ab-42-7qd1"],
    )

    # What nobody sends. As private attributes of Pydantic's these would take a fortieth of a publish.
    _admin: ClassVar[bool] = False
    """An administrator sends it: clients let him edit and delete what is others'."""
    _written: ClassVar[bytes | None] = None
    """`data` as the publisher wrote it, where writing its value anew might spell a number otherwise."""

    @field_validator("event")
    @classmethod
    def _is_free(cls, event: str) -> str:
        if event in OWN_EVENTS or event.startswith("gapless."):
            raise ValueError(f"'{event}' is one of the service's own event names; choose another")
        return event

    def by_admin(self) -> Message:
        """The same, sent by an administrator. It counts where the message refers to another one."""
        self.__dict__["_admin"] = self.ref is not None
        return self

    def as_written(self, data: bytes) -> None:
        """Its `data` was written so; b"": no otherwise than any value is."""
        self.__dict__["_written"] = data or None

    def draft(self, user: str | None, *, compared: bool = True) -> Draft:
        """The message as it is stored: one line of JSON, without the id and time that the log gives.

        The digest is of its values: a number that is spelt otherwise is no other content, as long as no double is. It
        is empty where the message is not `compared` with others, because no key goes with it.
        """
        plain = self._body(user, to_json(self.data)) if compared or self._written is None else b""
        body = plain if self._written is None else self._body(user, self._written)
        return Draft(body, hashlib.sha256(plain).hexdigest()[:32] if compared else "", user, self.localId)

    def _body(self, user: str | None, data: bytes) -> bytes:
        opening = to_json({"event": self.event, "user": user})[:-1]
        closing = b',"localId":' + to_json(self.localId) + b"}"
        if self.ref is not None:  # bodies without one stay as they ever were: a repeat of an older one is no conflict
            closing = b'%b,"ref":"%b"%b}' % (closing[:-1], self.ref.encode(), b',"admin":true' if self._admin else b"")
        return on_one_line(opening + b',"data":' + data + closing)


def on_one_line(body: bytes) -> bytes:
    """JSON whose line ends are all escaped, also those that JSON itself leaves as they are."""
    for raw, escaped in _LINE_ENDS:
        if raw in body:
            body = body.replace(raw, escaped)
    return body


def drafts_of(messages: Sequence[Message], most: int, *, keyed: bool = False) -> tuple[Draft, ...]:
    """The messages as they are stored; raises TooLarge where one has more than `most` bytes beside its envelope.

    `keyed`: one key stands for all of them together, beside the `localId` of each.

    A body of so many bytes may become longer by the line ends that are escaped, and what is stored is what readers'
    platforms have to hold.
    """
    drafts = tuple(message.draft(message.user, compared=keyed or message.localId is not None) for message in messages)
    largest = max(len(draft.body) for draft in drafts)
    if largest > most + ENVELOPE:
        bound = f"{most + ENVELOPE} (GAPLESS_MAX_BODY and {ENVELOPE})"
        raise TooLarge(
            f"A message would be stored in {largest} bytes, as line separators are escaped; at most: {bound}."
        )
    return drafts


def read_json(raw: bytes) -> Any:
    """The JSON value of a body; raises BadRequest for all else: NaN, bad UTF-8, lone surrogates, bottomless nests.

    Unprocessable for an object of many members, or a batch of them, before each member is refused by itself.
    """
    try:
        value = from_json(raw, allow_inf_nan=False, cache_strings=False)
    except (ValueError, RecursionError) as error:
        if not _is_utf8(raw):
            raise BadRequest("The body is not JSON in UTF-8, the one encoding that is read here.") from None
        raise BadRequest(f"The body is not JSON: {error}.") from None
    objects = value[:MOST_IN_BATCH] if isinstance(value, list) else [value]
    if any(isinstance(one, dict) and len(one) > MOST_MEMBERS for one in objects):
        raise Unprocessable(TOO_MANY)
    return value


def _is_utf8(raw: bytes) -> bool:
    """JSON begins with two characters of ASCII, so a zero among the first bytes is UTF-16 or UTF-32."""
    try:
        raw.decode()
    except UnicodeDecodeError:
        return False
    return b"\0" not in raw[:4]


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
        messages = _Batch.validate_python([_with_data(one) for one in (value if batch else [value])])
    except ValidationError as error:
        raise Unprocessable(explain(_placed(error.errors(), batch))) from None
    if (written := data_as_written(raw)) is not None:
        for message, data in zip(messages, written, strict=True):
            message.as_written(data)
    ids = [message.localId for message in messages if message.localId is not None]
    if len(set(ids)) < len(ids):
        raise Unprocessable("In a batch each localId may stand once.")
    return messages, batch


def _with_data(message: Any) -> Any:
    """A message that deletes another one has nothing to say."""
    if not isinstance(message, dict) or "data" in message:
        return message
    if message.get("event") == "delete" and message.get("ref") is not None:
        return {**message, "data": None}
    return message


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
