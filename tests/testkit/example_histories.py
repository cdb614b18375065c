"""Histories that are right, to be told whole or made wrong on purpose."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING

from tests.testkit.checker import Minimum, check
from tests.testkit.history import History
from tests.testkit.reader_log import ReaderLog

if TYPE_CHECKING:
    from tests.testkit.checker_findings import Kind


A, B = "t9x2k0aa", "t9x2k1bb"
START = f"{A}-0-0"
ANY = Minimum(messages=1)


def mid(seq: int, epoch: str = A, mark: str | None = None) -> str:
    return f"{epoch}-{seq}-{mark or f'm{seq:03d}'}"


def published(count: int, *, channel: str = "c", log: bool = True, first: int = 1) -> History:
    """Messages 1 to `count`, answered and, from `first` on, still in the log."""
    history = History()
    for seq in range(1, count + 1):
        history.publish(channel, "ann", f"x{seq}", "acked", mid(seq), local_id=f"k{seq}")
    if log:
        history.final_log(channel, [(mid(seq), f"x{seq}") for seq in range(first, count + 1)])
    return history


def reader(history: History, *seqs: int, start: str | None = START, head: bool = True) -> ReaderLog:
    """A reader of `c` that saw these messages."""
    log = history.reader(f"r{len(history.readers)}", "c", start, must_reach_head=head)
    see(log, *seqs)
    return log


def see(log: ReaderLog, *seqs: int, epoch: str = A, mark: str | None = None) -> None:
    for seq in seqs:
        id_ = mid(seq, epoch, mark)
        log.message("c", id_, f"x{seq}", cursor=id_)


def kinds(history: History) -> dict[Kind, int]:
    """How many messages each kind of finding concerns; every story must be tellable."""
    verdict = check(history, ANY)
    for finding in verdict.findings:
        assert finding.detail in verdict.story(finding)
    json.dumps(verdict.counts)
    return {kind: count for kind, count in verdict.counts["findings"].items() if count}


def rewritten(*, told: bool = True) -> tuple[History, ReaderLog]:
    """Messages 4 and 5 were lost in a failover; 4, 5 and 6 were written anew."""
    history = published(5)
    history.rewritten("c", [mid(4), mid(5)])
    for seq in (4, 5, 6):
        history.publish("c", "bob", f"x{seq}", "acked", mid(seq, mark="newm"))
    kept = [(mid(seq), f"x{seq}") for seq in (1, 2, 3)]
    history.final_log("c", kept + [(mid(seq, mark="newm"), f"x{seq}") for seq in (4, 5, 6)])
    log = reader(history, 1, 2, 3, 4, 5)
    if told:
        log.gap("c", "reset", None, mid(1), mid(6, mark="newm"), START)
        see(log, 1, 2, 3)
        see(log, 4, 5, 6, mark="newm")
    return history, log


def two_channels() -> tuple[History, ReaderLog]:
    history = published(2, channel="a")
    for seq in (1, 2):
        history.publish("b", "bob", f"y{seq}", "acked", mid(seq, B))
    history.final_log("b", [(mid(1, B), "y1"), (mid(2, B), "y2")])
    log = history.reader("r", ["a", "b"], f"{START}.{B}-0-0", must_reach_head=True)
    log.message("b", mid(1, B), "y1", cursor=f"{START}.{mid(1, B)}")
    log.message("a", mid(1), "x1", cursor=f"{mid(1)}.{mid(1, B)}")
    log.end("deadline")
    log.reconnected(f"{mid(1)}.{mid(1, B)}")
    log.hello(f"{mid(1)}.{mid(1, B)}")
    log.message("a", mid(2), "x2", cursor=f"{mid(2)}.{mid(1, B)}")
    log.message("b", mid(2, B), "y2", cursor=f"{mid(2)}.{mid(2, B)}")
    return history, log
