"""What really leaves the process: spans by OTLP and errors to Sentry, over HTTP to a server on loopback."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from collections.abc import Iterator
from typing import Any

import httpx
import pytest

from tests.testkit.isolation import isolated
from tests.testkit.service import Service
from tests.testkit.sink import Sink

MESSAGES = "/channels/a/messages"
ENVELOPES = "/api/7/envelope/"
TOKEN = "eyJhbGciOiJIUzI1NiJ9.eyJzdWIiOiJhbm4ifQ.c2lnbmF0dXJlLW9mLWFubg"
BODY = "a-body-that-nobody-else-reads"

FAILS = f"""
import asyncio, logging, os
import httpx, sentry_sdk
from gapless.api.factory import create_app
from gapless.config.settings import Settings
from gapless.log.errors import StoreUnavailable
from gapless.telemetry.start import report_errors

logging.basicConfig(level=logging.INFO)
report_errors(os.environ)
app = create_app(Settings(redis_url="redis://127.0.0.1:1", public=True))
errors = [StoreUnavailable("away"), StoreUnavailable("away"), ZeroDivisionError("of " + os.environ["TOKEN"])]

async def fail(publication):
    raise errors.pop(0)

async def ask():
    app.wiring.service.store.publish = fail
    async with httpx.AsyncClient(transport=httpx.ASGITransport(app), base_url="http://localhost") as client:
        for id, body in (("one", {{"data": 1}}), ("two", {{"data": 1}}), ("three", {{"data": "{BODY}"}}), ("no", {{}})):
            headers = {{"X-Request-Id": id, "Authorization": "Bearer " + os.environ["TOKEN"]}}
            path = "{MESSAGES}?access_token=" + os.environ["TOKEN"]
            print((await client.post(path, json=body, headers=headers)).status_code)

asyncio.run(ask())
sentry_sdk.flush()
"""


@pytest.fixture
def sink() -> Iterator[Sink]:
    with Sink() as sink:
        yield sink


def events(sink: Sink) -> list[Any]:
    """The events of the envelopes: lines of JSON, of which each item's second one is its payload."""
    lines = [line for body in sink.at(ENVELOPES) for line in body.splitlines() if line.startswith(b"{")]
    return [event for event in map(json.loads, lines) if "event_id" in event and "level" in event]


@pytest.mark.real(seconds=4)
def test_an_error_reaches_sentry_with_its_request_and_nothing_that_a_client_sent(sink: Sink) -> None:
    env = isolated(os.environ) | {"SENTRY_DSN": f"http://key@127.0.0.1:{sink.port}/7", "TOKEN": TOKEN}
    done = subprocess.run([sys.executable, "-c", FAILS], env=env, capture_output=True, text=True, check=True)
    assert done.stdout.split() == ["503", "503", "500", "422"]
    (event,) = events(sink)
    assert event["tags"]["request_id"] == "three"
    (exception,) = event["exception"]["values"]
    assert (exception["type"], exception["value"]) == ("ZeroDivisionError", "of [token]")
    assert exception["stacktrace"]["frames"][-1]["function"] == "fail"
    assert not {"request", "user", "breadcrumbs"} & set(event)
    sent = b"".join(body for _, body in sink.posted)
    assert not [secret for secret in (TOKEN, TOKEN.split(".")[1], BODY) if secret.encode() in sent]


@pytest.mark.real(seconds=5)
def test_a_service_exports_its_spans_and_reports_a_store_that_is_away_once(sink: Sink) -> None:
    env = {
        "REDIS_URL": "redis://127.0.0.1:1",
        "OTEL_EXPORTER_OTLP_ENDPOINT": f"http://127.0.0.1:{sink.port}",
        "SENTRY_DSN": f"http://key@127.0.0.1:{sink.port}/7",
    }
    trace = os.urandom(16).hex()
    with Service(env, fork=False) as service, httpx.Client(base_url=service.url, timeout=60) as client:
        headers = {"traceparent": f"00-{trace}-b7ad6b7169203331-01"}
        for _ in range(2):
            reply = client.post(MESSAGES, json={"data": BODY}, headers=headers, params={"access_token": TOKEN})
            assert reply.status_code == 503
        assert "event: end" in client.get("/channels/a/stream").text
        assert service.terminate() in (0, 143, -15)
    spans = b"".join(sink.at("/v1/traces"))
    assert bytes.fromhex(trace) in spans
    for name in (
        b"POST /channels/{channel}/messages",
        b"send *",
        b"EVALSHA publish",
        b"GET /channels/{channel}/stream",
    ):
        assert name in spans
    assert not [secret for secret in (TOKEN, BODY) if secret.encode() in spans]
    assert not sink.at("/v1/metrics") and not sink.at("/v1/logs")
    assert len(events(sink)) <= 1, [event.get("logentry") for event in events(sink)]
