"""OpenTelemetry: one trace from the request that publishes to the streams that are written. (docs/decisions, 14)

    POST /channels/{channel}/messages   SERVER    FastAPI's own span, which continues the request's `traceparent`
    └── send run:*                      PRODUCER  a publish
        ├── EVALSHA publish             CLIENT    the script that appends and tells
        └── deliver run:*               CONSUMER  one for each process and message, with the number of its readers

The names are those of the semantic conventions for messaging and databases. No body, no user and no token is in a span.
Nothing of this is imported where tracing is off.
"""

from __future__ import annotations

import logging
import time
from collections import OrderedDict
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from functools import partial
from typing import Any, cast

from opentelemetry import trace
from opentelemetry.context import Context
from opentelemetry.trace import Link, NonRecordingSpan, Span, SpanContext, SpanKind, StatusCode, TracerProvider

from gapless.channels.audience import Audience, MakeAudience
from gapless.channels.frames import Frame
from gapless.log.entries import Draft
from gapless.log.errors import Refused
from gapless.log.publication import Outcome, Publication
from gapless.log.store import Store
from gapless.runtime.version import __version__
from gapless.services.publishing import Published, Publishing, Sender

REMEMBERED = 1024
"""Messages of this process whose publish a delivery can still be joined to."""
_log = logging.getLogger("gapless.traces")


class Tracing:
    """Makes the spans of one service. `provider`: where they go; None: the process's own.

    `exports`: FastAPI is to set up the export that the environment describes.
    """

    def __init__(self, provider: TracerProvider | None = None, *, exports: bool = False) -> None:
        self._tracer = trace.get_tracer("gapless", __version__, provider)
        self._published: OrderedDict[tuple[str, str], SpanContext] = OrderedDict()
        self.requests: Any = {
            "tracing": True,
            "tracer_provider": provider,
            # Spans of what FastAPI does inside say nothing of messages; its metrics take a stream for a slow request;
            # its logs tell texts of exceptions.
            "operation_spans": False,
            "metrics": False,
            "logs": False,
            "auto_configure": exports and isinstance(trace.get_tracer_provider(), trace.ProxyTracerProvider),
        }
        """What FastAPI is told of it."""

    def publishing(self, store: Store, *others: Any) -> Publishing:
        """What publishes, with its spans. `others`: as `Publishing` takes them."""
        return _TracedPublishing(self, cast("Store", _TracedStore(self, store)), *others)

    def audience(self, channel: str) -> MakeAudience:
        """Makes the audience of a channel, with a span for each message that it is told."""
        return partial(_TracedAudience, self, channel)

    # --- the spans

    @contextmanager
    def sends(self, channel: str, count: int) -> Iterator[Span]:
        """A publish of `count` messages."""
        attributes = _messaging(channel, "send", "send", count)
        with self._span(f"send {_template(channel)}", SpanKind.PRODUCER, attributes) as span:
            yield span

    @contextmanager
    def appends(self, publication: Publication) -> Iterator[None]:
        """The script that appends and tells. A delivery is joined to the publish by the marks, which no other has."""
        sender = trace.get_current_span().get_span_context()
        for mark in publication.marks:
            self._published[publication.channel, mark] = sender
        while len(self._published) > REMEMBERED:
            self._published.popitem(last=False)
        attributes = {
            "db.system.name": "redis",
            "db.operation.name": "EVALSHA",
            "db.stored_procedure.name": "publish",
        }
        with self._span("EVALSHA publish", SpanKind.CLIENT, attributes):
            yield

    def delivery(self, channel: str, frames: Sequence[Frame], readers: int, by: str) -> Span:
        """The writing of new messages to all readers of a channel in this process; to be ended. Never raises.

        `by`: how they were learned of, by a `notice` or from the `log`. It belongs to the trace of its publish where
        that was in this process; elsewhere the message's id joins them.
        """
        try:
            return self._delivery(channel, frames, readers, by)
        except Exception:  # a sampler of somebody's, or a defect of ours: messages go on
            _log.exception("a delivery could not be traced")
            return trace.INVALID_SPAN

    def _delivery(self, channel: str, frames: Sequence[Frame], readers: int, by: str) -> Span:
        found = [(frame, self._published.pop((channel, frame.position.mark), None)) for frame in frames]
        links = [Link(of, {"messaging.message.id": str(frame.position)}) for frame, of in found if of is not None]
        attributes = _messaging(channel, "deliver", "process", len(frames)) | {
            "gapless.readers": readers,
            "gapless.by": by,
            "gapless.lag_ms": int(time.time() * 1000) - frames[0].time,
        }
        if len(frames) == 1:
            attributes["messaging.message.id"] = str(frames[0].position)
        # Never a child of whatever this happens to run in: another request, or another message.
        context = Context()
        if len(links) == len(frames) and len({link.context.span_id for link in links}) == 1:
            context = trace.set_span_in_context(NonRecordingSpan(links[0].context), context)
        name = f"deliver {_template(channel)}"
        return self._tracer.start_span(name, context, SpanKind.CONSUMER, attributes, links)

    @contextmanager
    def _span(
        self,
        name: str,
        kind: SpanKind,
        attributes: dict[str, Any],
    ) -> Iterator[Span]:
        """A span that says the kind of an error, and not its text. What is refused is no error of the service."""
        with self._tracer.start_as_current_span(
            name, kind=kind, attributes=attributes, record_exception=False, set_status_on_exception=False
        ) as span:
            try:
                yield span
            except Exception as error:
                span.set_attribute("error.type", type(error).__qualname__)
                if not isinstance(error, Refused):
                    span.set_status(StatusCode.ERROR)
                raise


class _TracedPublishing(Publishing):
    def __init__(self, tracing: Tracing, *parts: Any) -> None:
        super().__init__(*parts)
        self._tracing = tracing

    async def publish(
        self, channel: str, drafts: tuple[Draft, ...], *, key: str | None = None, sender: Sender | None = None
    ) -> Published:
        with self._tracing.sends(channel, len(drafts)) as span:
            published = await super().publish(channel, drafts, key=key, sender=sender)
            span.set_attribute("gapless.duplicate", published.duplicate)
            if len(published.ids) == 1:
                span.set_attribute("messaging.message.id", str(published.ids[0]))
            return published


class _TracedStore:
    """The one method of a store that publishing asks."""

    def __init__(self, tracing: Tracing, store: Store) -> None:
        self._tracing = tracing
        self._store = store

    async def publish(self, publication: Publication) -> Outcome:
        with self._tracing.appends(publication):
            return await self._store.publish(publication)


class _TracedAudience(Audience):
    def __init__(self, tracing: Tracing, channel: str, *parts: Any) -> None:
        super().__init__(*parts)
        self._tracing = tracing
        self._channel = channel

    def push(self, frames: Sequence[Frame], now: float) -> None:
        if not frames or not len(self):
            super().push(frames, now)
            return
        span = self._tracing.delivery(self._channel, frames, len(self), "notice")
        super().push(frames, now)
        span.end()

    def wake(self, new: Sequence[Frame] = ()) -> None:
        """Where the log was read, each reader writes by itself, after this."""
        if not new or not len(self):
            super().wake(new)
            return
        self._tracing.delivery(self._channel, new, len(self), "log").end()
        super().wake(new)


def _messaging(channel: str, name: str, kind: str, count: int) -> dict[str, Any]:
    found: dict[str, Any] = {
        "messaging.system": "gapless",
        "messaging.operation.name": name,
        "messaging.operation.type": kind,
        "messaging.destination.name": channel,
        "messaging.destination.template": _template(channel),
    }
    return found | {"messaging.batch.message_count": count} if count > 1 else found


def _template(channel: str) -> str:
    """One name for all channels of a kind: there may be as many channels as there are users."""
    namespace, colon, _ = channel.partition(":")
    return f"{namespace}:*" if colon else "*"
