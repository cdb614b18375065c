"""Requests for what goes on around messages, as the API reads them. (docs/protocol.md, section 9)"""

from __future__ import annotations

from typing import Annotated, Any, TypeVar

from pydantic import BaseModel, ConfigDict, Field, JsonValue, ValidationError
from pydantic_core import to_json

from gapless.api.schemas import ID, Text, explain, on_one_line, read_json
from gapless.api.spelling import data_as_written
from gapless.log.errors import NotFound, Unprocessable
from gapless.log.namespaces import Feature, Namespaces
from gapless.log.receipts import Marks, parse_marks

M = TypeVar("M", bound=BaseModel)


class SignalRequest(BaseModel):
    """Something for those who read the channel now."""

    model_config = ConfigDict(extra="forbid", title="Signal", strict=True, defer_build=True)

    event: Annotated[str, Field(pattern=r"^[A-Za-z0-9_.:-]{1,64}$")] = Field(
        description="What it is.", examples=["typing"]
    )
    data: Any = Field(None, description="Any JSON value.")
    user: Text | None = Field(None, description="Who sends; the token's `sub` overrides it.", examples=["ann"])


def read_signal(raw: bytes) -> tuple[SignalRequest, bytes]:
    """The signal of a body, and its `data` as one line of JSON; raises Refused."""
    signal = read_model(SignalRequest, raw, 'one signal, such as {"event": "typing"}')
    written = data_as_written(raw)
    return signal, (written and written[0]) or to_json(signal.data)


_EITHER: list[JsonValue] = [
    {"required": [name], "properties": {name: {"type": "string"}}, "title": name} for name in ("delivered", "read")
]


class ReceiptRequest(BaseModel):
    """How far a user has got: message ids of the channel, one or both."""

    model_config = ConfigDict(
        extra="forbid", title="Receipt", strict=True, json_schema_extra={"anyOf": _EITHER}, defer_build=True
    )

    delivered: Annotated[str, Field(pattern=ID)] | None = Field(
        None, description="The newest message that the user has.", examples=["t9x2k0ab-42-7qd1"]
    )
    read: Annotated[str, Field(pattern=ID)] | None = Field(
        None, description="The newest message that the user has read; it is delivered, too."
    )
    user: Text | None = Field(None, description="Who; needed without tokens, whose `sub` overrides it.")


def read_receipt(raw: bytes, user: str | None) -> tuple[str, Marks]:
    """The user and his marks; raises Refused. `user`: the token's."""
    asked = read_model(ReceiptRequest, raw, 'one receipt, such as {"read": "t9x2k0ab-42-7qd1"}')
    if asked.delivered is None and asked.read is None:
        raise Unprocessable("Send delivered, read, or both.")
    if (named := asked.user if user is None else user) is None:
        raise Unprocessable("user: needed where there are no tokens.")
    return named, parse_marks(asked.delivered or "", asked.read or "")


def read_model(model: type[M], raw: bytes, looks: str) -> M:
    """The object of a body; raises Refused with a sentence."""
    value = read_json(raw)
    if not isinstance(value, dict):
        raise Unprocessable(f"The body is {looks}.")
    try:
        return model.model_validate(value)
    except ValidationError as error:
        raise Unprocessable(explain(error.errors())) from None


def signal_line(channel: str, signal: SignalRequest, user: str | None, data: bytes, told: dict[str, str]) -> bytes:
    """The one line of JSON that streams send. `told`: its timestamp and its nonce."""
    opening = to_json({"channel": channel, "event": signal.event, "user": user})[:-1]
    return on_one_line(opening + b',"data":' + data + b"," + to_json(told)[1:])


def must_offer(namespaces: Namespaces, channel: str, feature: Feature) -> None:
    """Raises NotFound where a channel does not offer this."""
    if feature not in namespaces.of(channel).features:
        raise NotFound(
            f"'{channel}' has no {feature.value}: they are off for its namespace. GAPLESS_NAMESPACES turns them on."
        )
