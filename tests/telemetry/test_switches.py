"""The usual variables of OpenTelemetry and Sentry turn them on and off, and nothing else does."""

from __future__ import annotations

import logging
import sys
from typing import Any

import pytest

from gapless.api.app import GaplessApp
from gapless.api.factory import create_app
from gapless.config.settings import Settings
from gapless.telemetry import start
from gapless.telemetry.switches import exports_traces, makes_traces, reports_errors

TO = {"OTEL_EXPORTER_OTLP_ENDPOINT": "http://collector.example:4318"}


@pytest.mark.parametrize(
    ("environ", "makes", "exports"),
    [
        ({}, False, False),
        ({"OTEL_SERVICE_NAME": ""}, False, False),
        ({"OTEL_RESOURCE_ATTRIBUTES": "a=b"}, False, False),
        ({"OTEL_SERVICE_NAME": "chat"}, True, False),
        ({"OTEL_TRACES_EXPORTER": "otlp"}, True, False),
        (TO, True, True),
        ({"OTEL_EXPORTER_OTLP_TRACES_ENDPOINT": "http://collector.example/v1/traces"}, True, True),
        (TO | {"OTEL_SDK_DISABLED": "true"}, False, False),
        (TO | {"OTEL_SDK_DISABLED": " True "}, False, False),
        (TO | {"OTEL_SDK_DISABLED": "false"}, True, True),
        (TO | {"OTEL_TRACES_EXPORTER": "none"}, False, False),
    ],
)
def test_traces(environ: dict[str, str], makes: bool, exports: bool) -> None:
    assert (makes_traces(environ), exports_traces(environ)) == (makes, exports)


def test_errors() -> None:
    assert reports_errors({"SENTRY_DSN": "https://key@sentry.example/1"})
    assert not reports_errors({}) and not reports_errors({"SENTRY_DSN": " "})


def test_without_the_packages_a_line_says_what_to_install(
    monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    monkeypatch.setattr(start, "find_spec", lambda _: None)
    assert start.find_tracing(TO) is None
    start.report_errors({"SENTRY_DSN": "https://hunter2@sentry.example/1"})
    traces, errors = [record.getMessage() for record in caplog.records if record.levelno == logging.WARNING]
    assert "gapless[otel]" in traces and "gapless[sentry]" in errors and "hunter2" not in errors
    caplog.clear()
    assert start.find_tracing({"OTEL_SERVICE_NAME": "chat"}) is None
    assert not caplog.records, "many platforms set that one by themselves"


def test_where_nothing_asks_for_it_the_app_is_the_plain_one() -> None:
    app: Any = create_app(Settings(redis_url="redis://127.0.0.1:1"))
    assert type(app) is GaplessApp
    assert not any(app._telemetry[what] for what in ("tracing", "metrics", "logs", "auto_configure"))


def test_where_a_variable_asks_for_it_spans_are_made(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("OTEL_SERVICE_NAME", "chat")
    app: Any = create_app(Settings(redis_url="redis://127.0.0.1:1"))
    assert type(app) is not GaplessApp and "gapless.telemetry.traces" in sys.modules
    assert app._telemetry["tracing"] and not app._telemetry["auto_configure"]
