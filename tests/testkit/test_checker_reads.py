"""The checker, on histories where readers saw something wrong: lost, doubled, reordered, forged, or wrong id lines."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING

import pytest

from tests.testkit.checker import check
from tests.testkit.example_histories import ANY, A, B, kinds, mid, published, reader, rewritten, see, two_channels
from tests.testkit.history import History, Logged
from tests.testkit.reader_log import Message

if TYPE_CHECKING:
    from collections.abc import Callable


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
