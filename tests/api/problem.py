"""What every refusal looks like."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    import httpx

TITLES = {
    400: "Bad request",
    401: "Unauthorized",
    403: "Forbidden",
    404: "Not found",
    405: "Method Not Allowed",
    408: "Request timeout",
    409: "Conflict",
    413: "Content too large",
    415: "Unsupported media type",
    422: "Unprocessable content",
    429: "Too many requests",
    501: "Not implemented",
    503: "Service unavailable",
}


def assert_problem(reply: httpx.Response, status: int, detail: str = "") -> dict[str, Any]:
    """A problem of this status whose detail matches the regex, is one short sentence or two, and no stack trace."""
    assert reply.status_code == status, reply.text
    assert reply.headers["content-type"] == "application/problem+json"
    told: dict[str, Any] = reply.json()
    assert (told["type"], told["title"], told["status"]) == ("about:blank", TITLES[status], status)
    assert re.search(detail, told["detail"]), told["detail"]
    assert 10 <= len(told["detail"]) <= 300
    assert told["detail"][-1] in ".…"
    assert not re.search(r'Traceback|File "|\bpydantic\b|0x[0-9a-f]{6}', reply.text)
    return told
