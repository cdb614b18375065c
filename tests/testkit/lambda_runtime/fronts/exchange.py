"""One HTTP request and its reply, as a front sees them, before and after they are events."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterable

Pairs = tuple[tuple[str, str], ...]


@dataclass(frozen=True, slots=True)
class Request:
    """`path` and `query` are percent-encoded as the client sent them, `query` without its `?`.

    `headers` has lower-case names in the client's order; a repeated header stands there repeatedly.
    """

    method: str
    path: str
    query: str
    headers: Pairs
    body: bytes

    def header(self, name: str) -> str:
        """The values of one header joined by commas, empty where there is none."""
        return ",".join(value for key, value in self.headers if key == name)

    @property
    def cookies(self) -> list[str]:
        """Each `name=value` of the Cookie headers."""
        lines = [value for key, value in self.headers if key == "cookie"]
        return [cookie.strip() for line in lines for cookie in line.split(";") if cookie.strip()]


@dataclass(frozen=True, slots=True)
class Reply:
    """What goes back to the HTTP client. `headers` has no Content-Length: that is the server's to say."""

    status: int
    headers: Pairs
    body: bytes


def text(raw: bytes) -> str:
    """Header and path bytes as an event's string: UTF-8 where they are, else byte for byte."""
    try:
        return raw.decode()
    except UnicodeDecodeError:
        return raw.decode("latin-1")


def last_values(pairs: Iterable[tuple[str, str]]) -> dict[str, str]:
    """One value a name, the last one: how every single-value map of AWS treats repetition."""
    return dict(pairs)


def all_values(pairs: Iterable[tuple[str, str]]) -> dict[str, list[str]]:
    """Every value of each name, in order."""
    values: dict[str, list[str]] = {}
    for name, value in pairs:
        values.setdefault(name, []).append(value)
    return values


def joined_values(pairs: Iterable[tuple[str, str]]) -> dict[str, str]:
    """Repeated names joined by commas, as payload format 2.0 has them."""
    return {name: ",".join(values) for name, values in all_values(pairs).items()}
