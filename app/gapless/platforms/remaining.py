"""How long the platform lets a request run. A header is believed only if the platform itself sets it."""

from __future__ import annotations

import json
from collections.abc import MutableMapping
from typing import Any


def remaining(scope: MutableMapping[str, Any], platform: str, now: float) -> float | None:
    """Seconds until the platform ends this request, or None where it does not say. `now`: Unix seconds."""
    match platform:
        case "lambda":
            return _of_mangum(scope)
        case "lambda-adapter":
            return _of_adapter(scope, now)
        case "vercel":
            return _of_vercel(now)
    return None


def _of_mangum(scope: MutableMapping[str, Any]) -> float | None:
    """Mangum hands the invocation's own context over."""
    context = scope.get("aws.context")
    return None if context is None else context.get_remaining_time_in_millis() / 1000


def _of_adapter(scope: MutableMapping[str, Any], now: float) -> float | None:
    """The Web Adapter sets this header on every request and drops what a client has sent under its name."""
    for name, value in scope["headers"]:
        if name == b"x-amzn-lambda-context":
            try:
                context = json.loads(value)
                return float(context.get("deadline") or context["deadline_ms"]) / 1000 - now
            except (ValueError, KeyError, TypeError, AttributeError):
                return None
    return None


def _of_vercel(now: float) -> float | None:
    """Vercel's runtime keeps each request's deadline in a context variable."""
    try:
        from vercel_runtime import get_deadline  # type: ignore[import-not-found]  # noqa: PLC0415 - only there
    except ImportError:
        return None
    deadline = get_deadline()
    return None if deadline is None else deadline.timestamp() - now
