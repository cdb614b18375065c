"""What processes say at /metrics must equal what their clients and their store counted, where nothing fails. Pure.

`counted.py` judges processes under faults, where much can be known only as a bound. Here everything was answered, each
reader read to an end that it knows, and nothing is under way: each number has one right value, and zero is one, too.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from typing import TYPE_CHECKING, NamedTuple

from prometheus_client.parser import text_string_to_metric_families

from tests.testkit.reader_log import End, Gap, Hello, Message

if TYPE_CHECKING:
    from tests.testkit.load_publisher import Post
    from tests.testkit.reader_log import ReaderLog

Numbers = Counter[str]
"""Samples as `name` or `name{value}`, and `name{value,other}` where it has two labels. An empty value is left out."""

CLIENTS = (
    "gapless_streams_opened_total",
    "gapless_streams_ended_total",
    "gapless_streams_refused_total",
    "gapless_turns_total",
    "gapless_messages_published_total",
    "gapless_publishes_total",
    "gapless_publish_seconds_count",
    "gapless_messages_delivered_total",
    "gapless_delivered_bytes_total",
    "gapless_gaps_total",
)
"""What the clients of a process can know."""
STORE = ("gapless_store_commands_total", "gapless_store_bytes_total{sent}")
"""What the store knows, of all its clients together."""
OUTCOMES = {
    "201": "accepted",
    "200": "duplicate",
    "409": "conflict",
    "429": "limited",
    "503 none": "unavailable",
    "503 unknown": "unknown",
}
"""A post's answer, and what it is called at /metrics."""


class Read(NamedTuple):
    """How a reader reads: from the service at `url`, by `stream`, `turn` or `page`."""

    url: str
    to: str


class Account(NamedTuple):
    """What somebody said that he had counted, and what it was. `name`: for people."""

    name: str
    told: Numbers
    seen: Numbers

    def wrong(self) -> list[str]:
        """Every number that is not what was counted, as a sentence."""
        return [
            f"{self.name}: {key} says {self.told[key]}, and {self.seen[key]} were counted"
            for key in sorted(self.told.keys() | self.seen.keys())
            if self.told[key] != self.seen[key]
        ]


def samples(text: str) -> Numbers:
    """What a process told."""
    found: Numbers = Counter()
    for family in text_string_to_metric_families(text):
        for name, labels, value, *_ in family.samples:
            values = ",".join(one for one in labels.values() if one)
            found[f"{name}{{{values}}}" if values else name] = int(value)
    return found


def grown(before: Numbers, after: Numbers, names: Sequence[str]) -> Numbers:
    """By how much the samples of these names have grown, also where they have not."""
    return Counter({key: after[key] - before[key] for key in after if {key, key.partition("{")[0]} & {*names}})


def counted(
    logs: Iterable[ReaderLog], ways: Mapping[str, Read], posts: Iterable[Post], bodies: Mapping[Read, int]
) -> dict[str, Numbers]:
    """What clients counted of each service, by its URL. `ways`: of each log, by its name. `bodies`: their bytes."""
    found: dict[str, Numbers] = {}
    for log in logs:
        way = ways[log.name]
        found.setdefault(way.url, Counter()).update(_read(log, way.to))
    for post in posts:
        found.setdefault(post.url, Counter()).update(_posted(post))
    for way, size in bodies.items():
        found.setdefault(way.url, Counter())[f"gapless_delivered_bytes_total{{{way.to}}}"] += size
    return found


def _read(log: ReaderLog, to: str) -> Numbers:
    found: Numbers = Counter()
    for event in log.events:
        if isinstance(event, Message):
            found[f"gapless_messages_delivered_total{{{to}}}"] += 1
        elif isinstance(event, Gap):
            found[f"gapless_gaps_total{{{event.reason}}}"] += 1
    if to != "page":
        found.update(_streams(log) if to == "stream" else _turns(log))
    return found


def _turns(log: ReaderLog) -> Numbers:
    """A turn is `hello`, and whatever follows. An `end` alone refuses one."""
    found: Numbers = Counter()
    begun = False
    for event in log.events:
        if isinstance(event, Hello):
            found["gapless_turns_total"] += 1
            begun = True
        elif isinstance(event, End):
            found[f"gapless_streams_refused_total{{{event.reason}}}"] += not begun
            begun = False
    return found


def _streams(log: ReaderLog) -> Numbers:
    """A stream begins with `hello`. One that ends without a word was left by its client; an `end` alone refuses one."""
    found: Numbers = Counter()
    open_ = False
    for event in log.events:
        if isinstance(event, Hello):
            found["gapless_streams_opened_total"] += 1
            found["gapless_streams_ended_total{disconnect}"] += open_
            open_ = True
        elif isinstance(event, End):
            found[f"gapless_streams_{'ended' if open_ else 'refused'}_total{{{event.reason}}}"] += 1
            open_ = False
    found["gapless_streams_ended_total{disconnect}"] += open_
    return found


def _posted(post: Post) -> Numbers:
    published = post.messages if post.answer == "201" else 0
    return Counter(
        {
            f"gapless_publishes_total{{{OUTCOMES.get(post.answer, post.answer)}}}": 1,
            "gapless_publish_seconds_count": 1,
            "gapless_messages_published_total": published,
        }
    )


def missing(accounts: Iterable[Account], wanted: Iterable[str]) -> list[str]:
    """Of these numbers those that nobody counted anything of, as sentences: comparing nothing shows nothing."""
    seen = sum((account.seen for account in accounts), Counter())
    return [f"nothing was compared: {key} was never to be counted" for key in wanted if not seen[key]]


def named(texts: Iterable[str], names: Iterable[str]) -> list[str]:
    """Labels that carry one of these names, channels' and users', as sentences."""
    known = list(names)
    values = {
        value
        for text in texts
        for family in text_string_to_metric_families(text)
        for sample in family.samples
        for value in sample.labels.values()
    }
    return sorted(f"a label names {name}: {value}" for value in values for name in known if name in value)
