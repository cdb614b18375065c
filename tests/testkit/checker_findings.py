"""What the checker says: findings, the verdict, and the story of a finding. Pure."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, Literal

from tests.testkit.asides import Present, Receipts, Signalled
from tests.testkit.history import Published
from tests.testkit.reader_log import Cut, End, Gap, Hello, Message, Reconnected, Restarted

if TYPE_CHECKING:
    from tests.testkit.history import History
    from tests.testkit.reader_log import ReaderLog, Seen

Kind = Literal[
    "lost", "doubled", "reordered", "forged", "gap", "missing", "repeated", "hole", "cursor",
    "signal", "receipt", "presence",
]  # fmt: skip
KINDS: tuple[Kind, ...] = (
    "lost",  # a reader went past a message, or never got it, and was not told
    "doubled",  # one id twice, with no `reset` between
    "reordered",  # seq or epoch went back
    "forged",  # an id or a content that nobody published, or not together, or not there
    "gap",  # a gap announced wrongly, or a change of history not announced
    "missing",  # answered 201, and not in the final log
    "repeated",  # one publication stored twice
    "hole",  # the log itself is not contiguous
    "cursor",  # an id line that is not where the reader stands
    "signal",  # one signal twice
    "receipt",  # a mark that went down, or is not what holds at the end
    "presence",  # somebody who has no stream at the end, or is missing
)


@dataclass(frozen=True)
class Finding:
    """One thing that is wrong. `events` are indices into the reader's events (-1: its start), `published` into
    `History.published`; `count` is the number of messages concerned."""

    kind: Kind
    channel: str
    detail: str
    reader: str | None = None
    events: tuple[int, ...] = ()
    published: tuple[int, ...] = ()
    count: int = 1


@dataclass
class Verdict:
    """What `check` found. `counts` is JSON-able. `too_little` names what happened less often than the minimum."""

    history: History
    findings: list[Finding]
    counts: dict[str, Any]
    too_little: list[str] = field(default_factory=list)

    @property
    def ok(self) -> bool:
        return not self.findings and not self.too_little

    def of(self, kind: Kind) -> list[Finding]:
        """The findings of one kind, in the order of the history."""
        return [finding for finding in self.findings if finding.kind == kind]

    @property
    def lost(self) -> list[Finding]:
        return self.of("lost")

    @property
    def doubled(self) -> list[Finding]:
        return self.of("doubled")

    @property
    def reordered(self) -> list[Finding]:
        return self.of("reordered")

    @property
    def forged(self) -> list[Finding]:
        return self.of("forged")

    @property
    def gaps(self) -> list[Finding]:
        return self.of("gap")

    @property
    def missing(self) -> list[Finding]:
        return self.of("missing")

    @property
    def repeated(self) -> list[Finding]:
        return self.of("repeated")

    @property
    def holes(self) -> list[Finding]:
        return self.of("hole")

    @property
    def cursors(self) -> list[Finding]:
        return self.of("cursor")

    def story(self, finding: Finding) -> str:
        """The fewest lines that show it: who published, where the reader stood, how it came back, what came."""
        who = f"{finding.reader} on {finding.channel}" if finding.reader else finding.channel
        lines = [f"{finding.kind}: {who}: {finding.detail}"]
        lines += [f"  {tell_published(self.history.published[index])}" for index in finding.published]
        if finding.reader:
            lines += _told(self.history.readers[finding.reader], finding)
        return "\n".join(lines)

    def require(self) -> None:
        """AssertionError with the story of the first findings, unless all is well."""
        if not self.ok:
            raise AssertionError(str(self))

    def __str__(self) -> str:
        if self.ok:
            return f"ok: {self.counts}"
        said = [self.story(finding) for finding in self.findings[:5]]
        if len(self.findings) > len(said):
            said.append(f"… and {len(self.findings) - len(said)} more")
        return "\n".join([*self.too_little, *said, f"counts: {self.counts}"])


def tell_published(published: Published) -> str:
    key = f" localId {published.local_id}" if published.local_id is not None else ""
    answer = f"{published.outcome} {published.id or ''}".rstrip()
    return f"{published.publisher} published {_short(published.content_key)}{key} → {answer}"


def tell(event: Seen) -> str:
    """One event in one line."""
    match event:
        case Message():
            return f"message {event.channel} {event.id} {_short(event.content_key)}"
        case Gap():
            span = f"oldest {event.oldest} latest {event.latest}"
            return f"gap {event.channel} {event.reason} missed {event.missed} {span}, id {event.id}"
        case Reconnected():
            return f"reconnected with {event.sent_cursor or 'no cursor'}"
        case Restarted():
            return f"restarted with {event.cursor or 'no cursor'} on {', '.join(event.channels)}"
        case Cut():
            return f"cut {event.why}".rstrip()
        case Hello():
            return f"hello {event.cursor or 'without id'}"
        case End():
            return f"end {event.reason}"
        case Signalled():
            return f"signal {event.channel} {event.nonce}"
        case Receipts():
            return f"receipts {event.channel} {'whole ' if event.whole else ''}{_short(dict(event.marks))}"
        case Present():
            return f"presence {event.channel} {'whole ' if event.whole else ''}{event.joined} left {event.left}"


def _told(log: ReaderLog, finding: Finding) -> list[str]:
    """The finding's own events, and of what lies between two of them only how the reader last came back."""
    lines: list[str] = []
    last: int | None = None
    for index in finding.events:
        if last is not None:
            lines += [_line(log, between) for between in _return_between(log, last, index)]
        lines.append(_line(log, index))
        last = index
    return lines


def _line(log: ReaderLog, index: int) -> str:
    if index < 0:
        return f"  {log.name} started with {log.start or 'no cursor'}"
    if index >= len(log.events):
        return f"  {log.name} saw nothing more"
    return f"  {log.name} #{index} {tell(log.events[index])}"


def _return_between(log: ReaderLog, after: int, before: int) -> list[int]:
    kept: dict[str, int] = {}
    for index in range(after + 1, min(before, len(log.events))):
        match log.events[index]:
            case Cut() | End():
                kept = {"broke": index}
            case Reconnected() | Restarted():
                kept["back"] = index
                kept.pop("hello", None)
            case Hello():
                kept["hello"] = index
            case _:
                pass
    return sorted(kept.values())


def _short(content: object, most: int = 80) -> str:
    text = str(content)
    return text if len(text) <= most else text[: most - 1] + "…"
