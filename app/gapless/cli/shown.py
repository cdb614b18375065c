"""Events as lines: for people, and as JSON for other programs. Pure."""

from __future__ import annotations

import json
import re
from datetime import datetime
from typing import Any

from gapless.cli.following import Event
from gapless.cli.remote import printable

OWN = frozenset({"hello", "gap", "end", "live", "beat", "receipt", "presence", "signal"})
"""Events of the service itself; all others are messages."""
_NOT_ASCII = re.compile(r"[^ -~]")


def as_json(event: Event) -> str | None:
    """One line: a message as it came, a gap or an end with its name as `event`; None for what is not shown."""
    if event.kind not in OWN:
        return _NOT_ASCII.sub(lambda found: printable(found[0]), event.data)
    if event.kind in ("gap", "end"):
        return json.dumps({"event": event.kind, **event.read()})
    return None


def as_text(event: Event) -> str | None:
    """One line that a person reads; None for what is not shown."""
    if event.kind not in OWN:
        return printable(_message(event.read()))
    if event.kind == "gap":
        return printable(_gap(event.read()))
    return printable(f"-- the stream has ended: {event.read()['reason']}") if event.kind == "end" else None


def _message(told: dict[str, Any]) -> str:
    data = told["data"]
    text = data if isinstance(data, str) else json.dumps(data, ensure_ascii=False)
    at = datetime.fromisoformat(told["timestamp"]).astimezone()
    event = "" if told["event"] == "message" else f" ({told['event']})"
    return f"{at:%H:%M:%S} {told['channel']} {told['user'] or '-'}{event}: {text}"


def _gap(told: dict[str, Any]) -> str:
    why = {
        "trimmed": f"{told['missed']} messages are no longer kept",
        "reset": "the log is another one; nobody can know what was missed",
        "unknown": "the cursor could not be read; nobody can know what was missed",
    }
    return f"-- gap in {told['channel']}: {why.get(told['reason'], told['reason'])}"
