"""The checker, on histories that are right, and on those where too little happened."""

from __future__ import annotations

import json
from typing import Any

import pytest

from tests.testkit.checker import Minimum, check
from tests.testkit.example_histories import ANY, START, B, kinds, mid, published, reader, rewritten, see, two_channels
from tests.testkit.history import History, content_key
from tests.testkit.reader_log import Gap

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
