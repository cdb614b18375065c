"""Does the service's clock agree with this machine's? Tokens end by it."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime
from email.utils import parsedate_to_datetime

from gapless.cli.doctor.finding import Finding, fail, note, ok
from gapless.cli.doctor.site import Reply

NAME = "clock"
SLACK, WORTH_A_NOTE = 30.0, 2.0
"""Seconds by which clocks may differ where tokens are checked (docs/protocol.md, 6.1), and that are worth a note."""


def judge(replies: Sequence[Reply]) -> list[Finding]:
    """By the reply that tells the time best: of those to a post, which have milliseconds, else by any's `Date`."""
    told = [one for one in map(_ahead, replies) if one is not None]
    if not told:
        return [note(NAME, "not measured: no reply tells the time")]
    ahead, unsure = min(told, key=lambda one: one[1])
    return [_judged(ahead, max(0.0, abs(ahead) - unsure))]


def _ahead(reply: Reply) -> tuple[float, float] | None:
    """Seconds by which the service's clock is ahead, and by how much that may be wrong."""
    timestamp = reply.member("timestamp")
    try:
        if isinstance(timestamp, str):
            return datetime.fromisoformat(timestamp).timestamp() - reply.at, reply.seconds / 2
        if date := reply.headers.get("date"):
            return parsedate_to_datetime(date).timestamp() + 0.5 - reply.at, 0.5 + reply.seconds / 2
    except ValueError:
        pass
    return None


def _judged(ahead: float, surely: float) -> Finding:
    where = f"{abs(ahead):.1f} s {'ahead of' if ahead > 0 else 'behind'} this machine's"
    if surely > SLACK:
        change = "Set the wrong one of the two clocks by NTP: beyond 30 s good tokens are refused, or live too long."
        return fail(NAME, f"The service's clock is {where}.", change, aheadSeconds=round(ahead, 2))
    if surely > WORTH_A_NOTE:
        return note(NAME, f"the service's clock is {where}; 30 s are allowed", aheadSeconds=round(ahead, 2))
    return ok(NAME, "the service's clock and this machine's agree", aheadSeconds=round(ahead, 2))
