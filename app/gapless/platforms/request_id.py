"""The id of a request: the client's own word for it, else the platform's, else one that is made here."""

from __future__ import annotations

import json
import random
import re
from collections.abc import MutableMapping
from typing import Any

MOST = 128
"""Characters of an id from outside. It stands in log lines, headers and JSON, so its alphabet needs no escape there."""

_SANE = re.compile(rf"[A-Za-z0-9._:/+=-]{{1,{MOST}}}")


def request_id(scope: MutableMapping[str, Any], platform: str) -> str:
    """`X-Request-Id` where it is sane; else what the platform's own log calls the request; else 16 random digits."""
    asked = header(scope, b"x-request-id")
    if asked and _SANE.fullmatch(asked):
        return asked
    given = _given(scope, platform)
    return given if given and _SANE.fullmatch(given) else _made()


def _made() -> str:
    """It is no secret, and must be cheap: every request pays for it."""
    return f"{random.getrandbits(64):016x}"


def _given(scope: MutableMapping[str, Any], platform: str) -> str | None:
    match platform:
        case "lambda":  # Mangum hands the invocation's own context over
            return getattr(scope.get("aws.context"), "aws_request_id", None)
        case "lambda-adapter":
            return _of_adapter(header(scope, b"x-amzn-lambda-context"))
        case "vercel":
            return header(scope, b"x-vercel-id")
    return None


def _of_adapter(context: str | None) -> str | None:
    """The Web Adapter tells the invocation's context in a header, which no client can set."""
    try:
        found = json.loads(context or "{}")["request_id"]
    except (ValueError, KeyError, TypeError):
        return None
    return found if isinstance(found, str) else None


def header(scope: MutableMapping[str, Any], wanted: bytes) -> str | None:
    """The first header of this name, which is in small letters; None where there is none."""
    for name, value in scope["headers"]:
        if name == wanted:
            return str(value, "latin-1")
    return None
