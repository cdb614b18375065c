"""The service that a command talks to: its URL, the token for it, and what it says when it refuses."""

from __future__ import annotations

import json
from dataclasses import dataclass
from typing import Any
from urllib.parse import urlsplit

import httpx

from gapless.cli.failure import Failed

CONNECT = 5.0
"""Seconds in which a connection must come about."""
MOST_SHOWN = 300
"""Characters of a reply that are shown where it is no problem document."""


@dataclass(frozen=True, slots=True)
class Remote:
    """`url`: of the service, as of `GET /`. `token`: a bearer token; None for a service without keys."""

    url: str
    token: str | None = None

    def __post_init__(self) -> None:
        """Raises Failed for what is no URL of a service."""
        try:
            parts = urlsplit(self.url)
            usable = parts.scheme in ("http", "https") and bool(parts.hostname) and parts.port != 0
        except ValueError:
            usable = False
        if not usable or parts.query or parts.fragment:
            raise Failed(f"{self.url!r} is no URL of a service; it looks like http://127.0.0.1:8000.", 2)

    @property
    def local(self) -> bool:
        """Whether it is on this machine, where no proxy is asked."""
        return urlsplit(self.url).hostname in ("localhost", "127.0.0.1", "::1")

    def client(self, read: float) -> httpx.Client:
        """An HTTP client of it. `read`: seconds of silence after which a request fails."""
        return httpx.Client(**self.options(read))

    def options(self, read: float) -> dict[str, Any]:
        """How an HTTP client of it is made, of httpx's own or asynchronous."""
        headers = {"Authorization": f"Bearer {self.token}"} if self.token else {}
        return {
            "base_url": self.url.rstrip("/"),
            "headers": headers,
            "timeout": httpx.Timeout(read, connect=CONNECT),
            "trust_env": not self.local,
        }


def refusal(reply: httpx.Response) -> Failed:
    """What a reply says that is not what was asked for. Its body has been read."""
    hint = _HINTS.get(reply.status_code, "")
    return Failed(f"{reply.request.url.host} answered {reply.status_code}: {explain(reply)}{hint}")


_HINTS = {401: " Give a token with --token or GAPLESS_TOKEN; `gapless token` makes one."}


def explain(reply: httpx.Response) -> str:
    """The `detail` of a problem, else what stands in the reply, cut; one line that holds no control characters."""
    if reply.is_redirect:
        return f"it leads to {printable(reply.headers.get('location', 'nowhere'))}; give that as --url."
    try:
        text = str(reply.json()["detail"])
    except (ValueError, TypeError, LookupError):
        text = reply.text.strip()[:MOST_SHOWN] or reply.reason_phrase
    return printable(" ".join(text.split()))


def member(reply: httpx.Response, name: str) -> Any:
    """A member of a JSON reply; None where there is none."""
    try:
        return reply.json().get(name)
    except (ValueError, AttributeError):
        return None


def unreachable(error: httpx.HTTPError) -> str:
    """Why there was no reply, in words."""
    return str(error) or {"ReadTimeout": "it did not answer in time"}.get(type(error).__name__, type(error).__name__)


def printable(text: str) -> str:
    """The text without what would steer a terminal: escape sequences, other controls, changes of direction."""
    return "".join(one if one.isprintable() else json.dumps(one)[1:-1] for one in text)
