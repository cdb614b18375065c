"""Whether a gap was announced rightly: its reason, its count, the place from which the stream goes on. Pure."""

from __future__ import annotations

from typing import TYPE_CHECKING

from tests.testkit.positions import parse_message_id

if TYPE_CHECKING:
    from tests.testkit.checker_truth import ChannelTruth
    from tests.testkit.positions import Position
    from tests.testkit.reader_log import Gap


def wrong_gap(gap: Gap, at: Position | None, on: Position | None, truth: ChannelTruth, readable: bool) -> str | None:
    """What is wrong with a gap told to a reader that stands `at` and goes `on` there; None if nothing is.

    `readable`: the cursor that the reader last sent is one.
    """
    oldest = parse_message_id(gap.oldest) if gap.oldest else None
    if wrong := _wrong_span(gap, on, oldest):
        return wrong
    if gap.reason == "trimmed":
        return _wrong_trimmed(gap, at, on, oldest, truth)
    if gap.missed is not None:
        return f"missed must be null with {gap.reason}, not {gap.missed}"
    if gap.reason == "unknown" and readable:
        return "unknown, though the cursor that was sent can be read"
    if gap.reason == "reset" and at is not None and (wrong := _needless_reset(at, oldest, truth)):
        return wrong
    return _wrong_resume(gap, at, on, oldest, truth)


def _wrong_span(gap: Gap, on: Position | None, oldest: Position | None) -> str | None:
    latest = parse_message_id(gap.latest) if gap.latest else None
    if gap.reason not in {"trimmed", "reset", "unknown"}:
        return f"no such reason: {gap.reason}"
    if (oldest is None) != (gap.oldest is None) or (latest is None) != (gap.latest is None):
        return f"oldest {gap.oldest} and latest {gap.latest} must be message ids or null"
    if oldest is None and (latest is None or (gap.reason == "reset" and latest == on)):
        return None  # nothing is kept, or nothing comes after what both histories share
    if oldest is None or latest is None or oldest.epoch != latest.epoch or oldest.seq > latest.seq:
        return f"oldest {gap.oldest} and latest {gap.latest} are not of one log, in order"
    return None


def _wrong_trimmed(
    gap: Gap, at: Position | None, on: Position | None, oldest: Position | None, truth: ChannelTruth
) -> str | None:
    if oldest is None:
        return "trimmed with no oldest"
    if on is None or not on.agrees(oldest.before):
        return f"the gap's id {gap.id} is not just before its oldest {oldest.id}"
    if at is not None:
        if not at.nowhere and at.epoch != oldest.epoch:
            return f"trimmed, though the log of {at.epoch} became that of {oldest.epoch}"
        missed = on.seq - (0 if at.nowhere else at.seq)
        if missed <= 0:
            return f"trimmed, though nothing lies between {at.id} and {oldest.id}"
        if gap.missed != missed:
            return f"missed says {gap.missed}, it is {missed}"
    if on.seq > (bound := truth.trim_bound(oldest.epoch)):
        return f"trimmed up to seq {on.seq}, though the log of {oldest.epoch} was trimmed up to {bound} only"
    return None


def _needless_reset(at: Position, oldest: Position | None, truth: ChannelTruth) -> str | None:
    if at.nowhere:
        late = oldest is not None and oldest.second - at.second >= truth.retention
        return None if late or truth.was_wiped() else f"reset, though the log began soon after {at.id}"
    if not truth.was_ever_removed(at):
        return f"reset, though {at.id} was not removed from the log"
    return None


def _wrong_resume(
    gap: Gap, at: Position | None, on: Position | None, oldest: Position | None, truth: ChannelTruth
) -> str | None:
    """After a reset the stream goes on from the oldest message kept, or from the last that both histories share."""
    if on is None:
        return f"the gap's id {gap.id} is no cursor" if gap.id else None
    if on.seq == 0 or on.seq <= truth.trim_bound(on.epoch):
        return None
    if at is not None and at.epoch == on.epoch and on.seq <= truth.shared_bound(at):
        return None
    return f"the gap's id {gap.id} passes over messages that are kept"
