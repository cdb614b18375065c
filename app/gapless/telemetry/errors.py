"""Sentry: what the service logs as an error is reported, and nothing of what its clients sent.

Refusals, planned ends and a store that does not answer are no errors: they are logged as less, or not at all.
"""

from __future__ import annotations

import logging
import re
from typing import TYPE_CHECKING, Any

import sentry_sdk
from sentry_sdk.integrations.logging import LoggingIntegration

from gapless.runtime.request import current_id
from gapless.runtime.version import __version__

if TYPE_CHECKING:
    from sentry_sdk.types import Event, Hint

MOST = 500
"""Characters of an exception's text that are reported."""
_TOKEN = re.compile(r"[A-Za-z0-9_-]{8,}\.[A-Za-z0-9_-]{8,}\.[A-Za-z0-9_-]{8,}")
_SECRET = re.compile(r"://[^/\s@]*@")


def start(**options: Any) -> None:
    """Set the SDK up by the environment (SENTRY_DSN, SENTRY_ENVIRONMENT, SENTRY_RELEASE). `options`: for tests.

    Nothing is done where the application that we are part of has set it up.
    """
    if sentry_sdk.get_client().is_active():
        return
    sentry_sdk.init(
        **{
            "release": f"gapless@{__version__}",
            "send_default_pii": False,
            "include_local_variables": False,  # they hold tokens and bodies
            "max_request_body_size": "never",
            "max_breadcrumbs": 0,  # those of other requests would be among them
            "auto_enabling_integrations": False,  # FastAPI's would report queries, with the tokens in them
            "integrations": [LoggingIntegration(level=None, event_level=logging.ERROR)],
            "before_send": _without_secrets,
            **options,
        }
    )


def _without_secrets(event: Any, _: Hint) -> Event:
    """The event with its request's id, and with no text that a client can have put a token in."""
    event.setdefault("tags", {})["request_id"] = current_id()
    for unwanted in ("request", "user", "extra", "breadcrumbs"):
        event.pop(unwanted, None)
    for exception in (event.get("exception") or {}).get("values", ()):
        exception["value"] = _clean(exception.get("value") or "")
    if said := event.get("logentry"):
        said.pop("params", None)
        for part in ("message", "formatted"):
            if part in said:
                said[part] = _clean(said[part])
    cleaned: Event = event
    return cleaned


def _clean(text: str) -> str:
    return _SECRET.sub("://…@", _TOKEN.sub("[token]", text))[:MOST]
