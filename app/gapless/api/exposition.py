"""The counters of a process in the format of Prometheus. The only module that knows its library.

Nothing is counted in that library: a registry of our own asks the counters whenever somebody looks, so that an app owns
its numbers, and two apps in one process have two sets of them. Labels have the values that are listed here and no
others: none names a channel, a user or an address.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from itertools import accumulate
from typing import Any, NamedTuple

from prometheus_client import CollectorRegistry, ProcessCollector, generate_latest
from prometheus_client.core import CounterMetricFamily, GaugeMetricFamily, HistogramMetricFamily, Metric
from prometheus_client.exposition import choose_encoder
from prometheus_client.parser import text_string_to_metric_families

from gapless.delivery.end import End
from gapless.log.entries import GapReason
from gapless.runtime.counters import Counters, Histogram
from gapless.runtime.version import __version__

ENDS = [*(reason.value for reason in End), "disconnect"]


class Counter(NamedTuple):
    """`read`: the number, or numbers by the label's value. `values`: shown with 0 before they are first counted."""

    name: str
    told: str
    read: Callable[[Counters], Any]
    labels: tuple[str, ...] = ()
    values: Sequence[str] = ()


COUNTERS = (
    Counter("gapless_streams_opened", "Streams that began.", lambda c: c.streams.opened),
    Counter("gapless_streams_ended", "Streams that ended.", lambda c: c.streams.ended, ("reason",), ENDS),
    Counter(
        "gapless_streams_refused",
        "Stream requests that were answered with `end` alone.",
        lambda c: c.streams.refused,
        ("reason",),
        ("busy", "unavailable"),
    ),
    Counter("gapless_turns", "Stream requests that were answered as a whole (buffered mode).", lambda c: c.turns),
    Counter("gapless_messages_published", "Messages that were appended to logs.", lambda c: c.publishes.messages),
    Counter(
        "gapless_publishes",
        "Publications, each of one message or a batch.",
        lambda c: c.publishes.outcomes,
        ("outcome",),
        ("accepted", "duplicate", "conflict", "limited", "unavailable", "unknown"),
    ),
    Counter(
        "gapless_messages_delivered",
        "Messages that were sent to readers.",
        lambda c: {**c.messages, "stream": c.streams.messages},
        ("to",),
        ("stream", "turn", "page"),
    ),
    Counter(
        "gapless_delivered_bytes",
        "Bytes of the bodies that were sent to readers.",
        lambda c: c.bytes,
        ("to",),
        ("stream", "turn", "page"),
    ),
    Counter(
        "gapless_gaps", "Gaps that readers were told.", lambda c: c.gaps, ("reason",), [one.value for one in GapReason]
    ),
    Counter(
        "gapless_notices",
        "Messages that notices told of, by what became of them.",
        lambda c: c.notices,
        ("result",),
        ("applied", "ignored", "unproven", "position"),
    ),
    Counter(
        "gapless_reads",
        "Reads of logs.",
        lambda c: c.reads,
        ("reason",),
        ("subscribed", "recheck", "doubt", "backlog", "start", "deepen", "ends", "page"),
    ),
    Counter(
        "gapless_store_commands",
        "Commands sent to the store; a script is one.",
        lambda c: c.store.commands,
        ("command", "script"),
    ),
    Counter(
        "gapless_store_bytes",
        "Bytes of commands and replies, without the protocol around them.",
        lambda c: {"sent": c.store.sent_bytes, "received": c.store.received_bytes},
        ("direction",),
    ),
)

HISTOGRAMS: tuple[tuple[str, str, Callable[[Counters], Histogram]], ...] = (
    ("gapless_publish_seconds", "What the store took for a publication.", lambda c: c.publishes.seconds),
    (
        "gapless_delivery_delay_seconds",
        "From a message's time to the moment in which this process sends it to the streams that keep up.",
        lambda c: c.delay,
    ),
    ("gapless_event_loop_lag_seconds", "By how much the event loop was late for a timer.", lambda c: c.loop_lag),
)


class _Collector:
    """Reads the counters whenever the registry is asked."""

    def __init__(self, counters: Counters, feeds: Callable[[], int]) -> None:
        self._counters = counters
        self._feeds = feeds

    def collect(self) -> Iterator[Metric]:
        """One family for each metric."""
        build = GaugeMetricFamily("gapless_build_info", "The version of the service.", labels=["version"])
        build.add_metric([__version__], 1)
        yield build
        yield GaugeMetricFamily("gapless_streams_open", "Streams that are open.", self._counters.streams.open)
        yield GaugeMetricFamily("gapless_feeds_open", "Channels that are read.", self._feeds())
        for counter in COUNTERS:
            yield _counted(counter, counter.read(self._counters))
        for name, told, read in HISTOGRAMS:
            yield _distributed(name, told, read(self._counters))


def _counted(counter: Counter, found: Any) -> Metric:
    if not counter.labels:
        return CounterMetricFamily(counter.name, counter.told, found)
    family = CounterMetricFamily(counter.name, counter.told, labels=counter.labels)
    for value, count in {**dict.fromkeys(counter.values, 0), **found}.items():
        family.add_metric(value if isinstance(value, tuple) else (value,), count)
    return family


def _distributed(name: str, told: str, found: Histogram) -> Metric:
    bounds = [*map(str, found.bounds), "+Inf"]
    return HistogramMetricFamily(name, told, list(zip(bounds, accumulate(found.counts), strict=True)), found.sum)


def registry_of(counters: Counters, feeds: Callable[[], int]) -> CollectorRegistry:
    """A registry of this app's own: its counters, and what the process costs. `feeds`: how many channels are read."""
    registry = CollectorRegistry(auto_describe=False)
    registry.register(_Collector(counters, feeds))
    ProcessCollector(registry=registry)
    return registry


class Joined(NamedTuple):
    """Families that somebody else has collected."""

    families: Sequence[Metric]

    def collect(self) -> Sequence[Metric]:
        """All of them."""
        return self.families


def labelled(texts: Mapping[str, str]) -> Joined:
    """What several processes tell, each sample with the label `process`. `texts`: by its value."""
    families: dict[str, Metric] = {}
    for process, text in texts.items():
        for found in text_string_to_metric_families(text):
            family = families.setdefault(found.name, Metric(found.name, found.documentation, found.type))
            for sample in found.samples:
                family.add_sample(sample.name, {**sample.labels, "process": process}, sample.value)
    return Joined([*families.values()])


def text_of(registry: CollectorRegistry) -> bytes:
    """The plain text format."""
    return generate_latest(registry)


def encode(registry: CollectorRegistry | Joined, accept: str) -> tuple[bytes, str]:
    """The text in the version of the format that the client takes, and its content type."""
    encoder, kind = choose_encoder(accept)
    return encoder(registry), kind
