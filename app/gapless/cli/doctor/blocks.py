"""An event stream line by line, its comments too, which clients never see. Pure."""

from __future__ import annotations

from gapless.cli.following import Event

COMMENT = Event(":", "")
"""A comment line: a heartbeat."""


class Blocks:
    """Makes events of lines. A block without its blank line is none."""

    def __init__(self) -> None:
        self._fields: dict[str, str] = {}

    def feed(self, line: str) -> Event | None:
        """The event that this line completes, or COMMENT."""
        if line.startswith(":"):
            return COMMENT
        if line:
            name, _, value = line.partition(":")
            value = value.removeprefix(" ")
            held = self._fields.get(name)
            self._fields[name] = f"{held}\n{value}" if name == "data" and held is not None else value
            return None
        fields, self._fields = self._fields, {}
        if "data" not in fields:
            return None
        return Event(fields.get("event", "message"), fields["data"], fields.get("id", ""))
