"""Spans of real requests on a real Valkey, as an exporter gets them."""

from __future__ import annotations

from collections.abc import AsyncIterator, Mapping
from typing import Any, cast

import httpx
import pytest
from fastapi import FastAPI
from opentelemetry.sdk.trace import ReadableSpan, TracerProvider
from opentelemetry.sdk.trace.export import SimpleSpanProcessor
from opentelemetry.sdk.trace.export.in_memory_span_exporter import InMemorySpanExporter
from opentelemetry.trace import SpanKind, StatusCode

from gapless.log.errors import StoreUnavailable
from gapless.telemetry.traces import REMEMBERED, Tracing
from tests.testkit.alarm import auntil
from tests.testkit.app_fixture import RunningApp, running_app
from tests.testkit.valkey import Valkey

TRACE, PARENT = "0af7651916cd43dd8448eb211c80319c", "b7ad6b7169203331"
CHANNEL = "run:42"
MESSAGES, STREAM = f"/channels/{CHANNEL}/messages", f"/channels/{CHANNEL}/stream"


class Traced:
    """A service whose spans are kept."""

    def __init__(self) -> None:
        self.exporter = InMemorySpanExporter()
        provider = TracerProvider()
        provider.add_span_processor(SimpleSpanProcessor(self.exporter))
        self.tracing = Tracing(provider)
        self.app: RunningApp

    def spans(self, kind: SpanKind) -> list[ReadableSpan]:
        return [span for span in self.exporter.get_finished_spans() if span.kind is kind]

    async def the(self, kind: SpanKind) -> ReadableSpan:
        """The only span of this kind, once it is there."""
        await auntil(lambda: self.spans(kind), f"a span {kind}")
        (span,) = self.spans(kind)
        return span


@pytest.fixture
async def traced(valkey: Valkey) -> AsyncIterator[Traced]:
    found = Traced()
    async with running_app(valkey.url, lifetime=60.0, tracing=found.tracing) as found.app:
        await found.app.client.post(
            MESSAGES, json={"data": 0}
        )  # what begins a log is read, and not proven by its notice
        found.exporter.clear()
        yield found


def said(span: ReadableSpan) -> Mapping[str, Any]:
    return span.attributes or {}


def ids(span: ReadableSpan) -> tuple[str, str | None, str]:
    """Its trace, its parent and its own id."""
    context = span.get_span_context()
    assert context is not None
    parent = f"{span.parent.span_id:016x}" if span.parent else None
    return f"{context.trace_id:032x}", parent, f"{context.span_id:016x}"


async def test_one_trace_from_the_request_to_the_streams(traced: Traced) -> None:
    async with traced.app.live(STREAM) as one, traced.app.live(STREAM) as two:
        for stream in (one, two):
            await stream.until("hello")
        headers = {"traceparent": f"00-{TRACE}-{PARENT}-01", "X-Request-Id": "mine"}
        sent = await traced.app.client.post(MESSAGES, json={"data": "hunter2", "user": "ann"}, headers=headers)
        for stream in (one, two):
            await stream.until("message")
        kinds = (SpanKind.SERVER, SpanKind.PRODUCER, SpanKind.CLIENT, SpanKind.CONSUMER)
        request, send, append, deliver = [await traced.the(kind) for kind in kinds]
    assert {ids(span)[0] for span in (request, send, append, deliver)} == {TRACE}
    own = ids(send)[2]
    assert [ids(span)[1] for span in (request, send, append, deliver)] == [PARENT, ids(request)[2], own, own]
    assert [link.context.span_id for link in deliver.links] == [int(own, 16)]
    assert request.name == "POST /channels/{channel}/messages"
    assert said(request)["http.response.header.x-request-id"] == ("mine",)
    destination = {
        "messaging.system": "gapless",
        "messaging.destination.name": CHANNEL,
        "messaging.destination.template": "run:*",
        "messaging.message.id": sent.json()["id"],
    }
    assert (send.name, deliver.name) == ("send run:*", "deliver run:*")
    assert said(send).items() >= (destination | {"messaging.operation.type": "send"}).items()
    assert (
        said(deliver).items()
        >= (destination | {"messaging.operation.type": "process", "gapless.readers": 2, "gapless.by": "notice"}).items()
    )
    assert (append.name, said(append)["db.stored_procedure.name"]) == ("EVALSHA publish", "publish")
    assert not [span for span in (send, append, deliver) if "hunter2" in span.to_json() or "ann" in span.to_json()]


async def test_a_batch_is_one_delivery_that_is_linked_to_its_publish(traced: Traced) -> None:
    async with traced.app.live(STREAM) as stream:
        await stream.until("hello")
        sent = await traced.app.client.post(MESSAGES, json=[{"data": 1}, {"data": 2}])
        await stream.until("message", 2)
        send, deliver = await traced.the(SpanKind.PRODUCER), await traced.the(SpanKind.CONSUMER)
    assert said(send)["messaging.batch.message_count"] == said(deliver)["messaging.batch.message_count"] == 2
    assert ids(deliver)[:2] == (ids(send)[0], ids(send)[2])
    assert [dict(link.attributes or {})["messaging.message.id"] for link in deliver.links] == [
        one["id"] for one in sent.json()
    ]


async def test_in_another_process_the_messages_id_joins_them(traced: Traced, valkey: Valkey) -> None:
    """No trace context is stored or sent along: the wire is the same for everybody."""
    other = Traced()
    async with (
        running_app(valkey.url, lifetime=60.0, tracing=other.tracing) as other.app,
        other.app.live(STREAM) as stream,
    ):
        await stream.until("hello")
        sent = await traced.app.client.post(MESSAGES, json={"data": 1})
        (message,) = await stream.until("message")
        deliver = await other.the(SpanKind.CONSUMER)
    assert list(message) == ["id", "channel", "event", "user", "data", "localId", "timestamp"]
    assert (deliver.parent, deliver.links) == (None, ())
    assert said(deliver)["messaging.message.id"] == sent.json()["id"]
    assert not traced.spans(SpanKind.CONSUMER), "nobody reads there"


async def test_what_is_read_from_the_log_is_delivered_too(traced: Traced) -> None:
    """The first message of a channel: nothing that is held here proves that it comes next."""
    async with traced.app.live("/channels/new/stream") as stream:
        await stream.until("hello")
        sent = await traced.app.client.post("/channels/new/messages", json={"data": 1})
        await stream.until("message")
        send, deliver = await traced.the(SpanKind.PRODUCER), await traced.the(SpanKind.CONSUMER)
    assert ids(deliver)[:2] == (ids(send)[0], ids(send)[2])
    assert (said(deliver)["gapless.by"], said(deliver)["messaging.message.id"]) == ("log", sent.json()["id"])
    assert deliver.name == "deliver *"


async def test_messages_go_on_where_no_span_can_be_made(
    traced: Traced, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    def broken(*_: object) -> None:
        raise ZeroDivisionError

    monkeypatch.setattr(traced.tracing, "_delivery", broken)
    async with traced.app.live(STREAM) as stream:
        await stream.until("hello")
        for data in (1, 2):
            assert (await traced.app.client.post(MESSAGES, json={"data": data})).status_code == 201
        assert [message["data"] for message in await stream.until("message", 2)] == [1, 2]
    assert "ZeroDivisionError" in caplog.text


async def test_what_is_refused_is_no_error_and_an_outage_is_one(
    traced: Traced, monkeypatch: pytest.MonkeyPatch
) -> None:
    replies = [await traced.app.client.post(MESSAGES, json={"data": data, "localId": "a"}) for data in (1, 2)]
    reply = replies[-1]
    assert reply.status_code == 409
    refused = traced.spans(SpanKind.PRODUCER)[-1]
    assert (said(refused)["error.type"], refused.status.status_code) == ("Conflict", StatusCode.UNSET)
    traced.exporter.clear()

    async def unavailable(*_: object) -> None:
        raise StoreUnavailable("hunter2")

    monkeypatch.setattr(traced.app.app.wiring.service.store, "publish", unavailable)
    assert (await traced.app.client.post(MESSAGES, json={"data": 1})).status_code == 503
    failed = await traced.the(SpanKind.PRODUCER)
    assert (said(failed)["error.type"], failed.status.status_code) == ("StoreUnavailable", StatusCode.ERROR)
    assert not [span for span in traced.exporter.get_finished_spans() if "hunter2" in span.to_json()]


@pytest.mark.parametrize("path", [f"{MESSAGES}?access_token=hunter2", f"{MESSAGES}?ticket=hunter2", "/x?a=hunter2"])
async def test_no_query_is_in_a_span_and_yet_it_is_read(traced: Traced, path: str) -> None:
    await traced.app.client.get(path)
    span = await traced.the(SpanKind.SERVER)
    assert "hunter2" not in span.to_json()
    assert (await traced.app.client.get(f"{MESSAGES}?limit=x")).status_code == 422


async def test_within_an_application_that_is_traced_its_span_is_continued_and_hidden_too(valkey: Valkey) -> None:
    found = Traced()
    host = FastAPI(telemetry=cast("Any", found.tracing.requests))
    async with running_app(valkey.url, tracing=found.tracing) as found.app:
        host.mount("/live", found.app.app)
        async with httpx.AsyncClient(transport=httpx.ASGITransport(host), base_url="http://localhost") as client:
            path = f"/live{MESSAGES}?access_token=hunter2"
            assert (await client.post(path, json={"data": 1})).status_code == 201
        request, send = await found.the(SpanKind.SERVER), await found.the(SpanKind.PRODUCER)
    assert ids(send)[:2] == (ids(request)[0], ids(request)[2])
    assert "hunter2" not in request.to_json()
    assert said(request)["url.query"] == ""


async def test_a_stream_is_one_span_that_ends_when_it_does(traced: Traced) -> None:
    async with traced.app.live(STREAM) as stream:
        await stream.until("hello")
        assert not traced.spans(SpanKind.SERVER)
    span = await traced.the(SpanKind.SERVER)
    assert span.name == "GET /channels/{channel}/stream"


async def test_what_is_remembered_is_bounded(traced: Traced) -> None:
    batches = REMEMBERED // 100 + 2
    for _ in range(batches):
        reply = await traced.app.client.post(MESSAGES, json=[{"data": 1}] * 100)
        assert reply.status_code == 201
    assert len(traced.tracing._published) == REMEMBERED
