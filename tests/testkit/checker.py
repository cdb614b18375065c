"""The checker: from what publishers were answered and what readers saw, what went wrong. Pure.

It knows the promises of the wire contract and nothing of the product: no clock, no network, no `app`. It judges a
`History` (`history.py`) and gives a `Verdict` (`checker_findings.py`). A run in which too little happened is not ok.
"""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from tests.testkit.asides import Present, Receipts, Signalled
from tests.testkit.checker_asides import judge_asides
from tests.testkit.checker_contents import judge_contents, judge_keys, judge_logs
from tests.testkit.checker_findings import KINDS, Finding, Kind, Verdict
from tests.testkit.checker_track import Track
from tests.testkit.checker_truth import Truth
from tests.testkit.history import History
from tests.testkit.reader_log import Cut, End, Gap, Message, Reconnected

if TYPE_CHECKING:
    from collections.abc import Iterator

__all__ = ["KINDS", "Finding", "History", "Kind", "Minimum", "Verdict", "check"]


@dataclass(frozen=True, kw_only=True)
class Minimum:
    """What must have happened at least for a verdict to mean anything.

    `messages` seen by all readers together, `published` attempts that were answered with an id, `readers` that saw a
    message, `reconnects`, `cuts` (a connection that broke without an `end`), `gaps`; `signals`, `receipts`, `presence`:
    such events; `…_each` hold for every reader.
    """

    messages: int
    published: int = 0
    readers: int = 1
    reconnects: int = 0
    cuts: int = 0
    gaps: int = 0
    signals: int = 0
    receipts: int = 0
    presence: int = 0
    messages_each: int = 0
    reconnects_each: int = 0


def check(history: History, minimum: Minimum) -> Verdict:
    """Judge the run. ValueError where the minimum asks for no message at all: nothing would be proven."""
    if minimum.messages < 1:
        raise ValueError("a minimum of no messages proves nothing")
    truth = Truth(history)
    findings = [*judge_contents(truth), *judge_keys(truth), *judge_logs(truth)]
    for log in history.readers.values():
        findings += Track(log, truth).run()
    findings += judge_asides(history)
    return Verdict(history, findings, _counts(history, findings), list(_too_little(history, minimum)))


def _counts(history: History, findings: list[Finding]) -> dict[str, Any]:
    events = [event for log in history.readers.values() for event in log.events]
    gaps = [event for event in events if isinstance(event, Gap)]
    return {
        "findings": {kind: sum(f.count for f in findings if f.kind == kind) for kind in KINDS},
        "published": dict(Counter(p.outcome for p in history.published)),
        "ids": len({p.id for p in history.published if p.id is not None}),
        "channels": len({p.channel for p in history.published}),
        "readers": len(history.readers),
        "messages": sum(isinstance(event, Message) for event in events),
        "reconnects": sum(isinstance(event, Reconnected) for event in events),
        "cuts": sum(isinstance(event, Cut) for event in events),
        "ends": dict(Counter(event.reason for event in events if isinstance(event, End))),
        "gaps": dict(Counter(gap.reason for gap in gaps)),
        "announced_missed": sum(gap.missed or 0 for gap in gaps),
        "around": {
            name: sum(isinstance(event, kind) for event in events)
            for name, kind in (("signals", Signalled), ("receipts", Receipts), ("presence", Present))
        },
    }


def _too_little(history: History, minimum: Minimum) -> Iterator[str]:
    logs = history.readers.values()
    each = [_each(log.events) for log in logs]
    happened = {
        "messages": sum(seen["Message"] for seen in each),
        "published": sum(p.id is not None for p in history.published),
        "readers": sum(bool(seen["Message"]) for seen in each),
        "reconnects": sum(seen["Reconnected"] for seen in each),
        "cuts": sum(seen["Cut"] for seen in each),
        "gaps": sum(seen["Gap"] for seen in each),
        "signals": sum(seen["Signalled"] for seen in each),
        "receipts": sum(seen["Receipts"] for seen in each),
        "presence": sum(seen["Present"] for seen in each),
        "messages_each": min((seen["Message"] for seen in each), default=0),
        "reconnects_each": min((seen["Reconnected"] for seen in each), default=0),
    }
    for what, count in happened.items():
        if count < (wanted := getattr(minimum, what)):
            yield f"too little happened: {what} {count}, wanted {wanted}"


def _each(events: list[Any]) -> Counter[str]:
    return Counter(type(event).__name__ for event in events)
