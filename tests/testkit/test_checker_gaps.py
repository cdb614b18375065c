"""The checker, on histories whose gaps were announced wrongly or not at all."""

from __future__ import annotations

import pytest

from tests.testkit.checker import check
from tests.testkit.example_histories import ANY, B, kinds, mid, published, reader, rewritten, see
from tests.testkit.reader_log import Gap


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
