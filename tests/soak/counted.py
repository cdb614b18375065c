"""What each process says at /metrics must be what its clients saw of it, as far as they can know.

A process that is killed takes its numbers along, and nobody knows what it would have said. So a life is judged: from
the last start of a process to the end of the soak. Posts that were answered, and messages that were read over
connections which began in that life, are this process's for certain. Posts that nobody answered, or that were under way
when it started, may be. What is sent to who breaks off may be more than he read, and never less: messages, gaps, and
the reasons of ends. Where nothing fails, `exact.py` has one right value for each number. Pure, but for `lives`.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

from prometheus_client.parser import text_string_to_metric_families

from tests.testkit.reader import EventSourceReader
from tests.testkit.reader_log import End, Gap, Message

if TYPE_CHECKING:
    import httpx

    from tests.testkit.load_publisher import Post, Publisher
    from tests.testkit.reader import Connection
    from tests.testkit.service import Service

Numbers = Mapping[str, float]
"""The sum of each sample over its labels, and `name{value}` for each value of one label."""

TOLD = {
    "messages": ["gapless_messages_delivered_total"],
    "gaps": ["gapless_gaps_total"],
    "ends": ["gapless_streams_ended_total", "gapless_streams_refused_total"],
}
"""Where a process tells what its readers see. An `end` that comes before `hello` may be either."""


@dataclass(frozen=True)
class Life:
    """A process since its last start: what it told, and the messages that clients know of. `name`: for people."""

    name: str
    told: Numbers
    appended: int
    """Answered with 201."""
    perhaps: int
    """In posts of which nobody knows whether this process has appended them."""
    seen: Counter[str]
    """By readers of streams: `messages`, `gaps{reason}`, `ends{reason}`."""

    def __str__(self) -> str:
        published, delivered = (
            self.told["gapless_messages_published_total"],
            self.told["gapless_messages_delivered_total"],
        )
        most, read = self.appended + self.perhaps, self.seen["messages"]
        return f"published {published:g} of {self.appended} to {most}, delivered {delivered:g} of {read} or more"

    def wrong(self) -> list[str]:
        """Every law that does not hold, as a sentence."""
        told = self.told
        published, most = told["gapless_messages_published_total"], self.appended + self.perhaps
        open_ = told["gapless_streams_open"]
        opened, ended = told["gapless_streams_opened_total"], told["gapless_streams_ended_total"]
        ran = told.get("gapless_store_commands_total{publish}", 0)
        answered = told["gapless_publishes_total"] - told["gapless_publishes_total{unavailable}"]
        laws = {
            f"published {published:g}, and {self.appended} to {most} were": self.appended <= published <= most,
            f"opened {opened:g} streams, ended {ended:g}, and {open_:g} are open": opened == ended + open_,
            f"{answered:g} publications were answered, and {ran:g} scripts sent": answered <= ran,
        }
        laws |= {f"{what}: {said:g} told, and {n} were seen": said >= n for what, said, n in self._least()}
        return [f"{self.name}: {sentence}" for sentence, holds in laws.items() if not holds]

    def _least(self) -> Iterator[tuple[str, float, float]]:
        """What was seen, what was told of it, and how much was seen: no more than was told."""
        for what, n in self.seen.items():
            name, brace, reason = what.partition("{")
            yield what, sum(self.told.get(f"{one}{brace}{reason}", 0) for one in TOLD[name]), n


def numbers(text: str) -> Numbers:
    """What a process told."""
    found: dict[str, float] = {}
    for family in text_string_to_metric_families(text):
        for name, labels, value, *_ in family.samples:
            for key in (name, *(f"{name}{{{one}}}" for one in labels.values() if one)):
                found[key] = found.get(key, 0) + value
    return found


def posted(posts: Iterable[Post], url: str, since: float) -> tuple[int, int]:
    """Messages that a process at `url` has appended for certain since then, and those that it may have."""
    here = [post for post in posts if post.url == url and post.ended >= since]
    sure = sum(post.messages for post in here if post.begun >= since and post.answer == "201")
    perhaps = sum(
        post.messages
        for post in here
        if post.answer != "503 none" and not (post.begun >= since and post.answer in ("200", "201"))
    )
    return sure, perhaps


def seen(connections: Sequence[Connection], events: Sequence[object], url: str, since: float) -> Counter[str]:
    """What one reader saw on connections to `url` that were begun since then. `events`: all that its log holds."""
    found: Counter[str] = Counter()
    after = [*(one.events for one in connections[1:]), len(events)]
    for one, ended in zip(connections, after, strict=True):
        if one.begun >= since and one.url.startswith(f"{url}/"):
            found.update(filter(None, map(_kind, events[one.events : ended])))
    return found


def _kind(event: object) -> str | None:
    match event:
        case Message():
            return "messages"
        case Gap(reason=reason):
            return f"gaps{{{reason}}}"
        case End(reason=reason):
            return f"ends{{{reason}}}"
    return None


async def lives(
    services: Sequence[Service], publishers: Sequence[Publisher], readers: Sequence[object], client: httpx.AsyncClient
) -> list[Life]:
    """One for each process that shows numbers. What clients know is summed up first: numbers only grow."""
    found = []
    streams = [reader for reader in readers if isinstance(reader, EventSourceReader)]
    posts = [post for publisher in publishers for post in publisher.posts]
    for service in services:
        url, since = service.url, service.started
        read = sum((seen(one.connections, one.log.events, url, since) for one in streams), Counter())
        reply = await client.get(f"{url}/metrics")
        if reply.status_code == 200:
            found.append(Life(f"service {service.port}", numbers(reply.text), *posted(posts, url, since), read))
    assert found, "no process tells its numbers"
    return found
