"""The checker, on histories made right and made wrong on purpose."""

from __future__ import annotations

import json
from dataclasses import replace
from functools import partial
from itertools import zip_longest
from random import Random
from typing import TYPE_CHECKING, Any

import pytest
from hypothesis import HealthCheck, assume, given, settings
from hypothesis import strategies as st

from tests.testkit.checker import Minimum, check
from tests.testkit.checker_world import World
from tests.testkit.history import Gap, History, Logged, Message, ReaderLog, content_key

if TYPE_CHECKING:
    from collections.abc import Callable

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


# Right


def test_a_plain_run_is_ok() -> None:
    history = published(5)
    log = reader(history)
    log.hello(START)
    see(log, 1, 2)
    log.cut()
    log.reconnected(mid(2))
    log.hello(mid(2))
    see(log, 3, 4, 5)
    log.end("deadline")
    verdict = check(history, Minimum(messages=5, published=5, readers=1, reconnects=1, cuts=1))
    assert verdict.ok, str(verdict)
    assert verdict.counts["messages"] == 5
    assert verdict.counts["ends"] == {"deadline": 1}


def test_a_reader_may_join_later_and_leave_early() -> None:
    history = published(5)
    log = reader(history, start=None, head=False)
    log.hello(mid(2))
    see(log, 3, 4)
    assert kinds(history) == {}


def test_a_reader_may_meet_a_channel_without_a_log() -> None:
    history = published(2)
    reader(history, 1, 2, start="t9x2k0-0-0")
    assert kinds(history) == {}


def test_a_trimmed_gap_with_the_right_count_is_right() -> None:
    history = published(9, first=6)
    log = reader(history, 1, 2)
    log.gap("c", "trimmed", 3, mid(6), mid(9), mid(5))
    see(log, 6, 7, 8, 9)
    assert kinds(history) == {}


def test_a_trimmed_gap_is_right_by_a_fact_alone() -> None:
    history = published(9, log=False)
    history.trimmed("c", mid(5))
    log = reader(history, 1, 2)
    log.gap("c", "trimmed", 3, mid(6), mid(9), mid(5))
    see(log, 6, 7, 8, 9)
    assert kinds(history) == {}


def test_a_trimmed_gap_before_the_first_message_counts_from_one() -> None:
    history = published(9, first=6)
    log = reader(history, start="t9x2k0-0-0")
    log.gap("c", "trimmed", 5, mid(6), mid(9), mid(5))
    see(log, 6, 7, 8, 9)
    assert kinds(history) == {}


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


def test_after_a_reset_ids_may_come_again() -> None:
    assert kinds(rewritten()[0]) == {}


def test_an_open_stream_goes_on_from_what_both_histories_share() -> None:
    history, log = rewritten(told=False)
    log.gap("c", "reset", None, mid(1), mid(6, mark="newm"), mid(3))
    see(log, 4, 5, 6, mark="newm")
    assert kinds(history) == {}


def test_an_open_stream_may_have_nothing_after_what_both_histories_share() -> None:
    history, log = rewritten(told=False)
    history.final_log("c", history.logs["c"][:3])
    del history.published[5:]
    log.gap("c", "reset", None, None, mid(3), mid(3))
    assert kinds(history) == {}
    log.events[-1] = Gap("c", "reset", None, None, mid(3), mid(2))
    assert kinds(history) == {"gap": 1, "lost": 1}


def test_a_rewritten_log_may_have_been_trimmed_too() -> None:
    history, log = rewritten(told=False)
    history.final_log("c", history.logs["c"][4:])
    log.gap("c", "reset", None, mid(5, mark="newm"), mid(6, mark="newm"), mid(4, mark="newm"))
    see(log, 5, 6, mark="newm")
    assert kinds(history) == {}


def test_a_rewriting_may_be_told_by_what_was_kept() -> None:
    history, _ = rewritten()
    history.facts.clear()
    history.rewritten("c", kept=mid(3))
    assert kinds(history) == {}


def test_a_rewriting_told_by_what_was_kept_needs_no_final_log() -> None:
    history, log = rewritten(told=False)
    history.facts.clear()
    history.logs.clear()
    history.rewritten("c", kept=mid(3))
    log.gap("c", "reset", None, mid(1), mid(6, mark="newm"), mid(3))
    see(log, 4, 5, 6, mark="newm")
    history.expect_until({"c": mid(6, mark="newm")})
    assert kinds(history) == {}


def test_what_was_written_after_a_rewriting_and_trimmed_since_was_not_rewritten() -> None:
    history, log = rewritten()
    history.facts.clear()
    history.rewritten("c", kept=mid(3))
    history.final_log("c", history.logs["c"][5:])
    assert kinds(history) == {}
    assert log.must_reach_head


def test_a_wipe_takes_the_keys_of_what_was_trimmed_before_it() -> None:
    """The first attempt lost its reply, was trimmed, and then everything was wiped; the second is written anew."""
    history = History()
    history.publish("c", "ann", "x1", "acked", mid(1, B), local_id="k1")
    history.publish("c", "ann", "x2", "acked", mid(2))
    history.wiped("c", [mid(2)])
    history.final_log("c", [(mid(1, B), "x1")])
    log = reader(history, 1, 2)
    log.gap("c", "reset", None, mid(1, B), mid(1, B), f"{B}-0-0")
    see(log, 1, epoch=B)
    assert kinds(history) == {}


def test_a_log_that_begins_anew_as_it_was_and_is_rewritten_later_is_read_from_its_beginning() -> None:
    history = published(2, log=False)
    history.wiped("c", [mid(1), mid(2)])
    history.rewritten("c", [mid(1), mid(2)])
    history.publish("c", "ann", "x1", "acked", mid(1, B))
    history.final_log("c", [(mid(1, B), "x1")])
    log = reader(history, 1)
    log.gap("c", "reset", None, mid(1), mid(2), START)
    see(log, 1, 2)
    log.gap("c", "reset", None, mid(1, B), mid(1, B), f"{B}-0-0")
    see(log, 1, epoch=B)
    assert kinds(history) == {}


def test_a_wiped_log_begins_a_new_epoch_after_a_reset() -> None:
    history = published(3)
    history.wiped("c", [mid(1), mid(2), mid(3)])
    history.publish("c", "ann", "x1", "acked", mid(1, B))
    history.final_log("c", [(mid(1, B), "x1")])
    log = reader(history, 1, 2, 3)
    log.gap("c", "reset", None, mid(1, B), mid(1, B), f"{B}-0-0")
    see(log, 1, epoch=B)
    assert kinds(history) == {}


def test_a_publish_that_is_sent_again_after_a_wipe_is_written_again_under_its_ids() -> None:
    """The first attempt began the log, lost its reply, and was wiped away; the second begins it again as it was."""
    history = published(3, log=False)
    history.wiped("c", [mid(1), mid(2)])
    history.wiped("c", [mid(1), mid(2), mid(3)])
    history.publish("c", "ann", "x1", "acked", mid(1, B))
    history.final_log("c", [(mid(1, B), "x1")])
    for seen_before in ([1, 2], [1], []):
        log = reader(history, *seen_before)
        see(log, *range(len(seen_before) + 1, 4))
        log.gap("c", "reset", None, mid(1, B), mid(1, B), f"{B}-0-0")
        see(log, 1, epoch=B)
    told_while_it_was_gone = reader(history, 1, 2)
    told_while_it_was_gone.gap("c", "reset", None, None, None, START)
    see(told_while_it_was_gone, 1, 2, 3)
    told_while_it_was_gone.gap("c", "reset", None, mid(1, B), mid(1, B), f"{B}-0-0")
    see(told_while_it_was_gone, 1, epoch=B)
    assert kinds(history) == {}


def test_a_log_that_began_a_retention_after_nothing_was_there_is_told_by_reset() -> None:
    history = published(1)
    history.retention = 10
    log = reader(history, start="t9x2jp-0-0")  # eleven seconds before
    log.gap("c", "reset", None, mid(1), mid(1), START)
    see(log, 1)
    assert kinds(history) == {}
    del log.events[0]
    assert kinds(history) == {"gap": 1}
    history.retention = 12
    assert kinds(history) == {}
    log.events.insert(0, Gap("c", "reset", None, mid(1), mid(1), START))
    assert kinds(history) == {"gap": 1}


def test_an_unreadable_cursor_is_told_as_unknown() -> None:
    history = published(3)
    log = reader(history, start="what-is-this")
    log.hello(None)
    log.gap("c", "unknown", None, mid(1), mid(3), START)
    see(log, 1, 2, 3)
    assert kinds(history) == {}


def test_of_several_unknown_gaps_only_the_last_carries_the_cursor() -> None:
    history, log = two_channels()
    log.start = "what.is-this"
    log.events.clear()
    log.hello(None)
    log.gap("a", "unknown", None, mid(1), mid(2), None)
    log.gap("b", "unknown", None, mid(1, B), mid(2, B), f"{START}.{B}-0-0")
    for seq in (1, 2):
        log.message("a", mid(seq), f"x{seq}", cursor=f"{mid(seq)}.{B}-0-0")
    for seq in (1, 2):
        log.message("b", mid(seq, B), f"y{seq}", cursor=f"{mid(2)}.{mid(seq, B)}")
    assert kinds(history) == {}
    del log.events[3]
    assert kinds(history) == {"lost": 1}


def test_an_unknown_gap_in_an_empty_channel_is_learnt_from_the_last() -> None:
    history, log = two_channels()
    log.events.clear()
    log.start = "what.is-this"
    log.gap("b", "unknown", None, None, None, None)
    log.gap("a", "unknown", None, mid(1), mid(2), f"{START}.t9x2k1-0-0")
    log.message("b", mid(2, B), "y2", cursor=f"{START}.{mid(2, B)}")
    log.must_reach_head = False
    assert kinds(history) == {"lost": 1}


def test_an_unanswered_attempt_may_or_may_not_be_there() -> None:
    history = published(2)
    for content in ("x3", "x4"):
        history.publish("c", "ann", content, "unknown")
    history.final_log("c", [(mid(1), "x1"), (mid(2), "x2"), (mid(3), "x3")])
    reader(history, 1, 2, 3)
    assert kinds(history) == {}


def test_a_reader_may_begin_elsewhere_on_purpose() -> None:
    history = published(5)
    log = reader(history, 1, 2, 3)
    log.restarted(mid(1))
    log.hello(mid(1))
    see(log, 2, 3)
    log.restarted(None)
    log.hello(mid(4))
    see(log, 5)
    assert kinds(history) == {}


def test_a_batch_repeated_whole_gives_its_first_ids() -> None:
    history = History()
    for outcome in ("acked", "duplicate"):
        for seq in (1, 2):
            history.publish("c", "ann", f"x{seq}", outcome, mid(seq))
    history.final_log("c", [(mid(1), "x1"), (mid(2), "x2")])
    reader(history, 1, 2)
    assert kinds(history) == {}


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


def test_many_channels_on_one_stream() -> None:
    assert kinds(two_channels()[0]) == {}


def test_a_reader_may_change_its_channels() -> None:
    history, log = two_channels()
    del log.events[-1]
    log.restarted(mid(1, B), ["b"])
    log.hello(mid(1, B))
    log.message("b", mid(2, B), "y2", cursor=mid(2, B))
    assert kinds(history) == {}
    del log.events[-1]
    assert kinds(history) == {"lost": 1}


# Wrong: what readers saw


def test_lost_with_its_story() -> None:
    history = published(4)
    log = reader(history, 1, 2)
    log.cut("network")
    log.reconnected(mid(2))
    log.hello(mid(2))
    see(log, 4)
    verdict = check(history, ANY)
    (finding,) = verdict.findings
    assert verdict.story(finding).splitlines() == [
        f"lost: r0 on c: seq 3 of {A} never came",
        f"  ann published x3 localId k3 → acked {mid(3)}",
        f"  r0 #1 message c {mid(2)} x2",
        "  r0 #2 cut network",
        f"  r0 #3 reconnected with {mid(2)}",
        f"  r0 #4 hello {mid(2)}",
        f"  r0 #5 message c {mid(4)} x4",
    ]
    with pytest.raises(AssertionError, match="seq 3 of"):
        verdict.require()


def test_a_story_leaves_out_all_returns_but_the_last() -> None:
    history = published(3)
    log = reader(history, 1)
    for _ in range(50):
        log.end("deadline")
        log.reconnected(mid(1))
        log.hello(mid(1))
    see(log, 3)
    verdict = check(history, ANY)
    story = verdict.story(verdict.lost[0]).splitlines()
    assert [line.split()[1] for line in story[2:]] == ["#0", "#148", "#149", "#150", "#151"]


def test_lost_before_the_first_message() -> None:
    history = published(3)
    reader(history, 2, 3)
    reader(history, 3, start="t9x2k0-0-0")
    assert kinds(history) == {"lost": 3}


def test_lost_at_the_end_only_of_a_reader_that_was_waited_for() -> None:
    history = published(5)
    reader(history, 1, 2, head=False)
    assert kinds(history) == {}
    reader(history, 1, 2)
    assert kinds(history) == {"lost": 3}
    history.expect_until({"c": mid(4)})
    assert kinds(history) == {"lost": 2}
    history.readers["r1"].events.clear()
    history.readers["r1"].start = None
    assert kinds(history) == {"lost": 1}  # it never learnt where it was


def test_a_client_led_astray_by_an_early_id_has_lost() -> None:
    history = published(4)
    log = reader(history, 1, 2)
    log.cut()
    log.reconnected(mid(3))
    log.hello(mid(3))
    see(log, 4)
    assert kinds(history) == {"lost": 1}


def test_doubled() -> None:
    history = published(3)
    reader(history, 1, 2, 2, 3)
    assert kinds(history) == {"doubled": 1}


def test_doubled_again_after_a_reset() -> None:
    history, log = rewritten()
    see(log, 6, mark="newm")
    assert kinds(history) == {"doubled": 1}


def test_reordered_is_not_lost() -> None:
    history = published(5)
    reader(history, 1, 2, 4, 3, 5)
    assert kinds(history) == {"reordered": 1}


def test_an_epoch_that_goes_back_is_reordered() -> None:
    history = published(2, log=False)
    history.wiped("c", [mid(1), mid(2)])
    history.publish("c", "ann", "x1", "acked", mid(1, B))
    log = reader(history, start=f"{B}-0-0", head=False)
    see(log, 1, epoch=B)
    see(log, 2)
    assert kinds(history) == {"reordered": 1}


def test_a_trimmed_gap_does_not_excuse_doubling() -> None:
    history = published(9, first=6)
    log = reader(history, 1, 2)
    log.gap("c", "trimmed", 3, mid(6), mid(9), mid(5))
    log.restarted(mid(5))
    see(log, 6, 7, 8, 9, 2)
    assert kinds(history) == {"doubled": 1}


def test_what_was_lost_before_a_reset_stays_lost() -> None:
    history, log = rewritten()
    del log.events[1]
    assert kinds(history) == {"lost": 1}


def forged_id(history: History) -> None:
    history.readers["r0"].events[1] = Message("c", mid(2, mark="fake"), "x2")


def forged_content(history: History) -> None:
    history.readers["r0"].events[1] = Message("c", mid(2), "x3")


def forged_local_id(history: History) -> None:
    history.readers["r0"].events[1] = Message("c", mid(2), "x2", local_id="k3")


def no_message_id(history: History) -> None:
    history.readers["r0"].events.append(Message("c", "2", "x2"))


def refused(history: History) -> None:
    history.publish("c", "eve", "x4", "refused")
    history.readers["r0"].events.append(Message("c", mid(4), "x4"))


def published_elsewhere(history: History) -> None:
    history.publish("d", "ann", "x4", "acked", mid(4))
    history.readers["r0"].events.append(Message("c", mid(4), "x4"))


def another_channel(history: History) -> None:
    history.publish("d", "ann", "y", "acked", mid(1, B))
    history.readers["r0"].events.append(Message("d", mid(1, B), "y"))


def never_logged(history: History) -> None:
    history.publish("c", "ann", "x4", "unknown")
    history.readers["r0"].events.append(Message("c", mid(4), "x4"))


def nobody_logged(history: History) -> None:
    history.final_log("c", [*history.logs["c"], Logged(mid(4), "surprise")])


def one_id_twice_given(history: History) -> None:
    history.publish("c", "bob", "x3", "acked", mid(3), local_id="k3")


def one_number_twice_given(history: History) -> None:
    history.logs.clear()
    history.publish("c", "bob", "x3", "acked", mid(3, mark="twin"))


@pytest.mark.parametrize(
    "spoil",
    [
        forged_id,
        forged_content,
        forged_local_id,
        no_message_id,
        refused,
        published_elsewhere,
        another_channel,
        never_logged,
        nobody_logged,
        one_id_twice_given,
        one_number_twice_given,
    ],
)
def test_forged(spoil: Callable[[History], None]) -> None:
    history = published(3)
    reader(history, 1, 2, 3, head=False)
    assert kinds(history) == {}
    spoil(history)
    assert kinds(history)["forged"] >= 1


def test_two_readers_that_saw_different_contents_under_an_unanswered_id() -> None:
    history = History()
    history.publish("c", "ann", "x1", "unknown")
    history.publish("c", "ann", "x2", "unknown")
    log = reader(history, 1, head=False)
    other = reader(history, head=False)
    other.message("c", mid(1), "x2")
    assert kinds(history) == {"forged": 1}
    assert log.events


# Wrong: gaps


@pytest.mark.parametrize(
    ("gap", "says"),
    [
        (Gap("c", "trimmed", 4, mid(6), mid(9), mid(5)), "missed says 4, it is 3"),
        (Gap("c", "trimmed", None, mid(6), mid(9), mid(5)), "missed says None, it is 3"),
        (Gap("c", "trimmed", 4, mid(7), mid(9), mid(6)), "trimmed up to 5 only"),
        (Gap("c", "trimmed", 0, mid(3), mid(9), mid(2)), "nothing lies between"),
        (Gap("c", "trimmed", 3, mid(6), mid(9), mid(6)), "not just before its oldest"),
        (Gap("c", "trimmed", 3, None, None, mid(5)), "no oldest"),
        (Gap("c", "trimmed", 5, mid(6, B), mid(9, B), mid(5, B)), "became that of"),
        (Gap("c", "trimmed", 3, mid(6), mid(5), mid(5)), "in order"),
        (Gap("c", "trimmed", 3, "6", mid(9), mid(5)), "must be message ids"),
        (Gap("c", "reset", None, mid(6), mid(9), mid(5)), "was not removed"),
        (Gap("c", "reset", 3, mid(6), mid(9), mid(5)), "missed must be null"),
        (Gap("c", "unknown", None, mid(6), mid(9), mid(5)), "can be read"),
        (Gap("c", "lost", 3, mid(6), mid(9), mid(5)), "no such reason"),
        (Gap("d", "trimmed", 3, mid(6), mid(9), mid(5)), "not asked for"),
    ],
)
def test_a_gap_announced_wrongly(gap: Gap, says: str) -> None:
    history = published(9, first=6)
    log = reader(history, 1, 2, head=False)
    log.events.append(gap)
    verdict = check(history, ANY)
    assert [finding.kind for finding in verdict.findings] == ["gap"]
    assert says in verdict.gaps[0].detail


def test_trimmed_where_nothing_was_trimmed() -> None:
    history = published(9)
    log = reader(history, 1, 2)
    log.gap("c", "trimmed", 3, mid(6), mid(9), mid(5))
    see(log, 6, 7, 8, 9)
    assert kinds(history) == {"gap": 1}


def test_a_reset_that_passes_over_messages_that_are_kept() -> None:
    history, log = rewritten(told=False)
    log.gap("c", "reset", None, mid(5, mark="newm"), mid(6, mark="newm"), mid(4, mark="newm"))
    see(log, 5, 6, mark="newm")
    verdict = check(history, ANY)
    assert [finding.kind for finding in verdict.findings] == ["gap"]
    assert "passes over" in verdict.gaps[0].detail


def test_a_rewriting_that_nobody_knew_of() -> None:
    history, log = rewritten(told=False)
    history.facts.clear()
    see(log, 6, mark="newm")
    found = kinds(history)
    assert (found["gap"], found["missing"]) == (1, 2)


@pytest.mark.parametrize("by_list", [True, False])
def test_a_rewriting_that_fits_by_number_and_was_not_told(by_list: bool) -> None:
    history, log = rewritten(told=False)
    see(log, 6, mark="newm")
    assert kinds(history) == {"gap": 1}
    if by_list:
        del history.logs["c"]
    else:
        history.facts[:] = []
        history.rewritten("c", kept=mid(3))
    assert kinds(history) == {"gap": 1}


def test_a_rewriting_after_which_nothing_came_and_was_not_told() -> None:
    history, _ = rewritten(told=False)
    history.final_log("c", history.logs["c"][:-1])
    del history.published[-1]
    assert kinds(history) == {"gap": 1}


def test_a_new_epoch_that_was_not_told() -> None:
    history = published(2)
    history.wiped("c", [mid(1), mid(2)])
    for seq in (1, 2, 3):
        history.publish("c", "ann", f"x{seq}", "acked", mid(seq, B))
    history.final_log("c", [(mid(seq, B), f"x{seq}") for seq in (1, 2, 3)])
    log = reader(history, 1, 2)
    assert kinds(history) == {"gap": 1}  # by the end
    see(log, 1, 2, 3, epoch=B)
    assert kinds(history) == {"gap": 1}  # by what came


# Wrong: what publishers were answered, and the log


def test_answered_and_missing() -> None:
    history = published(5)
    history.publish("c", "ann", "x6", "acked", mid(6))
    reader(history, 1, 2, 3, 4, 5)
    assert kinds(history) == {"missing": 1}


def test_missing_is_excused_by_trimming_and_wiping_only() -> None:
    history = published(5, first=3)
    reader(history, 3, 4, 5, start=mid(2))
    assert kinds(history) == {}
    history.final_log("c", [])
    assert kinds(history)["missing"] == 5
    history.wiped("c", [mid(3), mid(4)])
    assert kinds(history) == {"missing": 1}
    history.facts.clear()
    history.wiped("c")
    assert kinds(history) == {}


def test_what_was_sent_after_a_failover_is_not_excused_by_it() -> None:
    history = published(3)
    history.rewritten("c", kept=mid(3))
    history.publish("c", "ann", "x4", "acked", mid(4), begun=history.tick())
    reader(history, 1, 2, 3)
    assert kinds(history) == {"missing": 1}


def test_one_local_id_with_two_ids() -> None:
    history = published(3)
    history.publish("c", "ann", "x3", "duplicate", mid(2), local_id="k3")
    reader(history, 1, 2, 3)
    found = kinds(history)
    assert found["repeated"] == 1
    assert found["forged"] == 1  # the id of another publication


def test_one_local_id_stored_twice() -> None:
    history = published(3)
    history.publish("c", "ann", "x4", "unknown", local_id="k4")
    log = [*history.logs["c"], Logged(mid(4), "x4", "ann", "k4"), Logged(mid(5), "x4", "ann", "k4")]
    history.final_log("c", log)
    reader(history, 1, 2, 3, head=False)
    assert kinds(history)["repeated"] >= 1


def test_stored_again_after_a_failover_is_not_repeated() -> None:
    history = published(3)
    history.rewritten("c", [mid(3)])
    history.publish("c", "ann", "x3", "acked", mid(3, mark="newm"), local_id="k3")
    history.final_log("c", [(mid(1), "x1"), (mid(2), "x2"), (mid(3, mark="newm"), "x3")])
    reader(history, 1, 2, head=False)
    assert kinds(history) == {}


def test_an_unanswered_attempt_lost_in_a_failover_may_be_repeated() -> None:
    history = published(2)
    history.publish("c", "ann", "x3", "unknown", local_id="k3")
    log = reader(history, 1, 2, 3)
    history.rewritten("c", [mid(3)])
    history.publish("c", "ann", "x3", "acked", mid(3, mark="newm"), local_id="k3")
    history.final_log("c", [(mid(1), "x1"), (mid(2), "x2"), (mid(3, mark="newm"), "x3")])
    log.gap("c", "reset", None, mid(1), mid(3, mark="newm"), mid(2))
    see(log, 3, mark="newm")
    assert kinds(history) == {}


@pytest.mark.parametrize("answered", [True, False])
def test_attempts_under_one_local_id_store_one_message(answered: bool) -> None:
    history = published(1)
    history.publish("c", "ann", "x2", "unknown", local_id="k2")
    history.publish("c", "ann", "x2", *(("acked", mid(2)) if answered else ("unknown",)), local_id="k2")
    history.final_log("c", [(mid(1), "x1"), (mid(2), "x2")])
    reader(history, 1, head=False)
    assert kinds(history) == {}
    history.final_log("c", [*history.logs["c"], Logged(mid(3), "x2")])
    assert kinds(history) == {"repeated": 1}


def test_an_unanswered_attempt_under_another_local_id() -> None:
    history = published(1)
    history.publish("c", "ann", "x2", "unknown", local_id="k2")
    history.final_log("c", [Logged(mid(1), "x1"), Logged(mid(2), "x2", None, "k2")])
    reader(history, 1, head=False)
    assert kinds(history) == {}
    history.final_log("c", [Logged(mid(1), "x1"), Logged(mid(2), "x2", None, "k9")])
    assert kinds(history) == {"repeated": 1}


def test_an_unanswered_attempt_stored_twice() -> None:
    history = published(1)
    history.publish("c", "ann", "x2", "unknown")
    history.final_log("c", [(mid(1), "x1"), (mid(2), "x2"), (mid(3), "x2")])
    reader(history, 1, head=False)
    assert kinds(history) == {"repeated": 1}


def test_holes() -> None:
    history = published(5)
    del history.published[2]
    history.logs["c"] = tuple(entry for entry in history.logs["c"] if entry.id != mid(3))
    reader(history, 1, head=False)
    assert kinds(history) == {"hole": 2}  # in the log, and among all ids
    del history.logs["c"]
    assert kinds(history) == {"hole": 1}
    history.publish("c", "ann", "x3", "unknown")
    assert kinds(history) == {}


# Wrong: id lines


def test_an_id_line_that_forgets_another_channel() -> None:
    history, log = two_channels()
    event = log.events[1]
    assert isinstance(event, Message)
    log.events[1] = replace(event, cursor=f"{mid(1)}.{B}-0-0")
    assert kinds(history) == {"cursor": 1}
    log.events[1] = replace(event, cursor=mid(1))
    assert kinds(history) == {"cursor": 1}


def test_a_hello_that_moves_the_cursor() -> None:
    history = published(2)
    log = reader(history, 1)
    log.reconnected(mid(1))
    log.hello(mid(2))
    see(log, 2)
    assert kinds(history) == {"cursor": 1}


# Too little


@pytest.mark.parametrize(
    ("minimum", "says"),
    [
        (Minimum(messages=4), "messages 3, wanted 4"),
        (Minimum(messages=1, published=4), "published 3, wanted 4"),
        (Minimum(messages=1, readers=2), "readers 1, wanted 2"),
        (Minimum(messages=1, reconnects=2), "reconnects 1, wanted 2"),
        (Minimum(messages=1, cuts=1), "cuts 0, wanted 1"),
        (Minimum(messages=1, gaps=1), "gaps 0, wanted 1"),
        (Minimum(messages=1, messages_each=1), "messages_each 0, wanted 1"),
        (Minimum(messages=1, reconnects_each=1), "reconnects_each 0, wanted 1"),
    ],
)
def test_too_little_happened(minimum: Minimum, says: str) -> None:
    history = published(3)
    log = reader(history, 1, 2, 3)
    log.reconnected(mid(3))
    reader(history, head=False)
    assert check(history, Minimum(messages=3, published=3, readers=1, reconnects=1)).ok
    verdict = check(history, minimum)
    assert not verdict.ok
    assert verdict.too_little == [f"too little happened: {says}"]
    assert says in str(verdict)


def test_nothing_at_all_is_too_little() -> None:
    assert not check(History(), ANY).ok
    with pytest.raises(ValueError, match="proves nothing"):
        check(History(), Minimum(messages=0))


def test_content_keys() -> None:
    assert content_key({"b": [1.0, None], "a": "é"}) == content_key(json.loads('{"a":"\\u00e9","b":[1.0,null]}'))
    different: list[Any] = [1, "1", 1.5, True, None, [], {}, [1]]
    assert len({content_key(value) for value in different}) == 8


# Laws

OPS = ["publish"] * 8 + ["read"] * 4 + ["cut", "cut", "join", "trim", "wipe", "fail_over"]


@st.composite
def worlds(draw: st.DrawFn) -> World:
    """A correct run over one to three channels, with its final logs or without."""
    names = ("a", "b", "c")[: draw(st.integers(1, 3))]
    dice = Random(draw(st.integers(0, 2**32)))
    world = World(names, with_log=draw(st.booleans()), dice=dice)
    world.publish(names[0])
    world.join()
    for op in draw(st.lists(st.sampled_from(OPS), min_size=5, max_size=60)):
        if op in {"read", "cut"}:
            who = dice.choice(world.readers)
            world.read(who, dice.randrange(1, 6)) if op == "read" else world.cut(who)
        elif op == "join":
            world.join()
        else:
            getattr(world, op)(dice.choice(names))
    for name in names:
        world.publish(name)
    world.finish()
    return world


laws = settings(max_examples=200, deadline=None, suppress_health_check=list(HealthCheck))


@laws
@given(worlds())
def test_nothing_is_found_in_a_correct_history(world: World) -> None:
    verdict = check(world.history, ANY)
    assert not verdict.findings, str(verdict)


Site = tuple[ReaderLog, int]
Spoil = tuple[str, "Callable[[], object]", set["Kind"]]


def own_events(log: ReaderLog, channel: str) -> list[int]:
    """Where this reader's messages and gaps of one channel are."""
    return [i for i, e in enumerate(log.events) if isinstance(e, Message | Gap) and e.channel == channel]


def spoils(world: World) -> list[Spoil]:
    """Every way to make this history wrong that must be noticed, and as what."""
    found: list[Spoil] = []
    heads = {name: log.entries[-1].place.id if log.entries else None for name, log in world.logs.items()}
    for log in world.history.readers.values():
        for channel in log.channels:
            mine = own_events(log, channel)
            for here, after in zip_longest(mine, mine[1:]):
                now, then = log.events[here], None if after is None else log.events[after]
                if isinstance(now, Gap):
                    found += spoiled_gaps(log, here, now, then)
                elif isinstance(now, Message):
                    found += spoiled_messages(world, log, here, now, after)
                    if then is None and now.id == heads[channel]:
                        found.append(("drop the last", partial(log.events.pop, here), {"lost"}))
    return found + spoiled_logs(world)


def spoiled_messages(world: World, log: ReaderLog, here: int, now: Message, after: int | None) -> list[Spoil]:
    events = log.events
    found: list[Spoil] = [
        ("double", lambda: events.insert(here + 1, now), {"doubled"}),
        ("alter content", lambda: events.__setitem__(here, replace(now, content_key="altered")), {"forged"}),
    ]
    same = [p for p in world.history.published if (p.channel, p.content_key) == (now.channel, now.content_key)]
    # Under another id an answered message might as well be an unanswered attempt of the same content.
    if any(p.id == now.id for p in same) and all(p.outcome != "unknown" for p in same):
        found.append(("alter id", lambda: events.__setitem__(here, replace(now, id=now.id[:-4] + "zzzz")), {"forged"}))
    then = None if after is None else events[after]
    if after is not None and isinstance(then, Message):

        def swap() -> None:
            events[here], events[after] = events[after], events[here]

        found.append(("drop", lambda: events.pop(here), {"lost"}))
        found.append(("swap", swap, {"reordered"}))
        logged = {entry.place.id for entry in world.logs[now.channel].entries}
        if {now.id, then.id} <= logged:
            trimmed = Gap(now.channel, "trimmed", 1, then.id, then.id, None)
            reset = Gap(now.channel, "reset", None, then.id, then.id, None)
            found.append(("invent trimmed", lambda: events.insert(after, trimmed), {"gap"}))
            found.append(("invent reset", lambda: events.insert(after, reset), {"gap"}))
    elif isinstance(then, Gap) and then.reason == "trimmed":
        found.append(("drop before trimmed", lambda: events.pop(here), {"gap"}))
    return found


def spoiled_gaps(log: ReaderLog, here: int, now: Gap, then: object) -> list[Spoil]:
    events = log.events
    more = 1 if now.missed is None else now.missed + 1
    found: list[Spoil] = [
        ("alter missed", lambda: events.__setitem__(here, replace(now, missed=more)), {"gap"}),
    ]
    if isinstance(then, Message):
        kinds: set[Kind] = {"lost"} if now.reason == "trimmed" else {"gap", "lost", "doubled", "reordered"}
        found.append(("drop the gap", lambda: events.pop(here), kinds))
    return found


def spoiled_logs(world: World) -> list[Spoil]:
    history = world.history
    found: list[Spoil] = []
    answered = {p.id for p in history.published}
    for name, log in history.logs.items():
        for number, entry in enumerate(log[1:], 1):
            if entry.id in answered:
                without = log[:number] + log[number + 1 :]
                found.append(("lose it", partial(history.final_log, name, without), {"missing"}))
    return found


@laws
@given(worlds(), st.data())
def test_one_thing_made_wrong_is_noticed(world: World, data: st.DataObject) -> None:
    found = spoils(world)
    assume(found)
    names = sorted({name for name, _, _ in found})
    name = data.draw(st.sampled_from(names))
    _, spoil, expected = data.draw(st.sampled_from([s for s in found if s[0] == name]))
    spoil()
    verdict = check(world.history, ANY)
    assert expected & {finding.kind for finding in verdict.findings}, (name, str(verdict))
    assert all(verdict.story(finding) for finding in verdict.findings)
