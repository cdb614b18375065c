"""The checker, on histories where what publishers were answered and what the log holds disagree."""

from __future__ import annotations

import pytest

from tests.testkit.example_histories import kinds, mid, published, reader, see
from tests.testkit.history import Logged


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
