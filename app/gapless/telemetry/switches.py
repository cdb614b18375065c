"""Whether traces are made and errors reported: by the variables that OpenTelemetry and Sentry have themselves. Pure."""

from __future__ import annotations

from collections.abc import Mapping

_ENDPOINTS = ("OTEL_EXPORTER_OTLP_ENDPOINT", "OTEL_EXPORTER_OTLP_TRACES_ENDPOINT")
_TRACES = (*_ENDPOINTS, "OTEL_TRACES_EXPORTER", "OTEL_SERVICE_NAME")
DSN = "SENTRY_DSN"


def makes_traces(environ: Mapping[str, str]) -> bool:
    """Whether spans are made: one of the usual variables has a value, and none turns them off."""
    if _value(environ, "OTEL_SDK_DISABLED") == "true" or _value(environ, "OTEL_TRACES_EXPORTER") == "none":
        return False
    return any(_value(environ, name) for name in _TRACES)


def exports_traces(environ: Mapping[str, str]) -> bool:
    """Whether it is said where to send them. Else they go where the application that we are part of sends its own."""
    return makes_traces(environ) and any(_value(environ, name) for name in _ENDPOINTS)


def reports_errors(environ: Mapping[str, str]) -> bool:
    """Whether it is said where errors are reported."""
    return bool(_value(environ, DSN))


def _value(environ: Mapping[str, str], name: str) -> str:
    return environ.get(name, "").strip().lower()
