"""GAPLESS_NAMESPACES: JSON with what holds for each kind of channels. (docs/protocol.md, section 8)"""

from __future__ import annotations

import json
import re
from typing import Annotated, Any, NoReturn

from pydantic import BaseModel, ConfigDict, Field

Cap = Annotated[int, Field(ge=20, le=100_000)]
Retention = Annotated[int, Field(ge=1, le=31_536_000)]
Rate = Annotated[float, Field(ge=0, le=1_000_000)]
Burst = Annotated[int, Field(ge=1, le=1_000_000)]

_NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9_.-]{0,62}|")
_LOOKS = 'it looks like {"room": {"cap": 500, "receipts": true}, "": {"signals": true}}'


class NamespaceSettings(BaseModel):
    """What one namespace sets. What it leaves out is as the setting of that name has it; switches are off."""

    model_config = ConfigDict(extra="forbid", strict=True, frozen=True)

    cap: Cap | None = None
    retention: Retention | None = None
    rate: Rate | None = None
    burst: Burst | None = None
    signals: bool = False
    receipts: bool = False
    presence: bool = False


def read_namespaces(text: str) -> Any:
    """The value of the JSON in `text`; raises ValueError with a sentence. Its members are checked by `Settings`."""
    try:
        value = json.loads(text, object_pairs_hook=_once, parse_constant=_no_number)
    except json.JSONDecodeError as error:
        raise ValueError(f"it is not JSON ({error}); {_LOOKS}") from None
    except RecursionError:
        raise ValueError(f"it is nested too deep; {_LOOKS}") from None
    if not isinstance(value, dict):
        raise ValueError(f"it is no object; {_LOOKS}")
    return value


def must_be_names(names: list[str]) -> None:
    """Raises ValueError where one of them can be no namespace."""
    for name in names:
        if not _NAME.fullmatch(name):
            raise ValueError(
                f"{name[:70]!r} can be no channel's namespace: 1 to 63 letters, digits and _ . - and no sign first, or "
                "nothing at all for channels without a colon"
            )


def _once(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    """JSON lets a name stand twice, and readers differ in which one counts."""
    found: dict[str, Any] = {}
    for name, value in pairs:
        if name in found:
            raise ValueError(f"{name[:70]!r} stands twice in one object")
        found[name] = value
    return found


def _no_number(text: str) -> NoReturn:
    raise ValueError(f"{text} is no number in JSON")
