"""Starts what the environment asks for, and says so where its packages are not installed."""

from __future__ import annotations

import logging
from collections.abc import Mapping
from importlib.util import find_spec
from typing import TYPE_CHECKING

from gapless.telemetry.switches import DSN, exports_traces, makes_traces, reports_errors

if TYPE_CHECKING:
    from gapless.telemetry.traces import Tracing

_log = logging.getLogger("gapless.startup")


def find_tracing(environ: Mapping[str, str]) -> Tracing | None:
    """What makes spans; None, and nothing is imported, where the environment does not ask for them."""
    if not makes_traces(environ):
        return None
    if find_spec("opentelemetry") is None or find_spec("opentelemetry.sdk") is None:
        if exports_traces(environ):
            _log.warning("OTEL_EXPORTER_OTLP_ENDPOINT does nothing: traces need pip install 'gapless[otel]'.")
        return None
    from gapless.telemetry.traces import Tracing  # noqa: PLC0415 - only where they are asked for

    return Tracing(exports=exports_traces(environ))


def report_errors(environ: Mapping[str, str]) -> None:
    """From now on errors reach Sentry, where the environment says so, and where nobody has set it up already."""
    if not reports_errors(environ):
        return
    if find_spec("sentry_sdk") is None:
        _log.warning("%s does nothing: reports of errors need pip install 'gapless[sentry]'.", DSN)
        return
    from gapless.telemetry.errors import start  # noqa: PLC0415 - only where they are asked for

    start()
