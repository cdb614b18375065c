"""The checker's laws for what goes on around messages, each on a history that is right and on one that is not."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from tests.testkit.example_histories import A, kinds, mid, published, reader
from tests.testkit.history import History
from tests.testkit.reader_log import ReaderLog

if TYPE_CHECKING:
    from collections.abc import Callable

OTHER = "t9x2k1bb"


def run() -> tuple[History, ReaderLog]:
    """A reader on two connections, and what holds at the end."""
    history = published(3)
    log = reader(history, 1, 2, 3)
    log.around = True
    log.signalled("c", "n1")
    log.receipts("c", {"ann": (mid(2), mid(1))}, whole=True)
    log.present("c", ["ann"])
    log.came_and_went("c", ["bob", "eve"], [])
    log.receipts("c", {"ann": (mid(2), mid(2)), "bob": (mid(1), None)}, whole=False)
    log.end("deadline")
    log.reconnected(mid(3))
    log.hello(mid(3))
    log.receipts("c", {"ann": (mid(2), mid(1))}, whole=True)  # of a process that has not heard all yet
    log.receipts("c", {"ann": (mid(2), mid(2)), "bob": (mid(9), None)}, whole=False)
    log.present("c", ["ann", "bob", "eve"])
    log.came_and_went("c", ["eve"], ["ann"])
    log.signalled("c", "n2")
    history.rest({"c": {"ann": (mid(2), mid(2)), "bob": (mid(9), None)}}, {"c": ["bob", "eve"]})
    log.came_and_went("c", [], ["eve"])  # when all leave
    return history, log


def test_nothing_is_found_where_all_is_right() -> None:
    assert kinds(run()[0]) == {}


def receipt(*told: tuple[str | None, str | None], whole: bool = False) -> Callable[[ReaderLog], None]:
    def spoil(log: ReaderLog) -> None:
        for marks in told:
            log.receipts("c", {"zoe": marks}, whole=whole)

    return spoil


SPOILT: dict[str, tuple[Callable[[ReaderLog], None], str]] = {
    "a signal twice": (lambda log: log.signalled("c", "n2"), "signal"),
    "a signal twice, on two connections": (lambda log: log.signalled("c", "n1"), "signal"),
    "a mark that went down": (receipt((mid(12), None), (mid(9), None)), "receipt"),
    "a mark that went away": (receipt((mid(12), mid(2)), (mid(12), None)), "receipt"),
    "an older epoch": (receipt((mid(1, OTHER), None), (mid(50, A), None)), "receipt"),
    "a user who went away": (lambda log: log.receipts("c", {"ann": (mid(2), mid(2))}, whole=True), "receipt"),
    "what has risen, before the whole": (
        lambda log: (log.reconnected(mid(3)), log.receipts("c", {}, whole=False))[1],
        "receipt",
    ),
}


@pytest.mark.parametrize(("spoil", "kind"), SPOILT.values(), ids=SPOILT)
def test_what_is_wrong_is_found(spoil: Callable[[ReaderLog], None], kind: str) -> None:
    history, log = run()
    spoil(log)
    assert kinds(history) == {kind: 1}


def test_a_store_that_lost_marks_may_tell_lower_ones_as_the_whole_and_in_no_other_way() -> None:
    for fact in (lambda one: one.wiped("c"), lambda one: setattr(one, "lossy", True)):
        history, log = run()
        fact(history)
        log.receipts("c", {"ann": (mid(1), None)}, whole=True)
        assert kinds(history) == {}
        log.receipts("c", {"ann": (mid(1), mid(1))}, whole=False)
        log.receipts("c", {"ann": (mid(1), None)}, whole=False)
        assert kinds(history) == {"receipt": 1}


@pytest.mark.parametrize("knows", ["too little", "too much", "nothing"])
def test_who_does_not_know_at_the_end_what_is_so_is_found(knows: str) -> None:
    history, log = run()
    if knows == "nothing":
        log.reconnected(mid(3))
    elif knows == "too much":
        log.receipts("c", {"zoe": (mid(1), None)}, whole=False)
        log.came_and_went("c", ["zoe"], [])
    else:
        log.came_and_went("c", [], ["bob"])
    marks = dict(history.final_marks["c"])
    if knows == "too little":
        marks["eve"] = (mid(1), None)
    history.rest({"c": marks}, {"c": ["bob"]})
    assert kinds(history) == {"receipt": 1, "presence": 1}
    log.around = False
    assert kinds(history) == {}, "it did not ask"
